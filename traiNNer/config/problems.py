"""What the schema found wrong, in words for the user who wrote the file."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from traiNNer.config.layout import canonical
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import Node, Path, Report, did_you_mean, key_of, nearest

MUST = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "none_required": "null",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "dict_type": "a section (keys and values)",
    "model_type": "a section (keys and values)",
    "model_attributes_type": "a section (keys and values)",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "a list of {min_length} or more values",
    "too_long": "a list of {max_length} values at most",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "{max_length} characters at most",
    "string_pattern_mismatch": "a text of the form {pattern}",
}


@dataclass(frozen=True)
class Section:
    """The keys that may stand in a section, and what each of them does."""

    known: tuple[str, ...]
    described: Callable[[str], str | None] = lambda _: None
    elsewhere: Callable[[str], str | None] = lambda _: None
    """For a key: `belongs to train`, if that section knows it."""


@dataclass(frozen=True)
class Finding:
    """One complaint of the schema about the node at `path`."""

    path: Path
    kind: str
    context: dict[str, Any]
    in_union: bool


def explain(error: ValidationError, node: Node, section_at: Callable[[Path], Section], report: Report) -> None:
    """Report every finding of a validation of `node`: one message per key, none that only follows from another."""
    findings = _merge([_locate(detail, node) for detail in error.errors(include_url=False)])
    meant: set[Path] = set()
    for path in [path for path, group in findings.items() if group[0].kind == "extra_forbidden"]:
        del findings[path]
        name = unknown(node.deepest(path), str(path[-1]), section_at(path[:-1]), report)
        meant |= {canonical((*path[:-1], name), TrainOptions)} if name else set()
    for path, group in findings.items():
        if group[0].kind == "too_short" and any(
            len(other) > len(path) and other[: len(path)] == path for other in findings
        ):
            continue  # what is wrong in a list does not count as one of its values
        if group[0].kind != "missing":
            found = node.deepest(path)
            report.at(found, sentence(group, found))
        elif not any(path[: len(other)] == other for other in meant):
            _missing(node, path, section_at, report)


def unknown(node: Node, key: str, section: Section, report: Report) -> str | None:
    """Report an unknown key and return the known one that it was probably meant to be."""
    if report.is_full:
        report.at(node, "unknown option")
        return None
    home = section.elsewhere(key)
    # A key that another section knows was hardly mistyped, unless it is very near to one that is known here.
    near = nearest(key, section.known, cutoff=0.85 if home else None)
    hints = [f"did you mean '{near}'?"] if near else []
    hints += [f"('{key}' {home})" if near else home] if home else []
    report.at(node, f"unknown option{'; ' if hints else ''}{' '.join(hints)}")
    return near


def sentence(group: Iterable[Finding], node: Node) -> str:
    """Return what the value must be, with what to write instead where that is known."""
    group = list(group)
    own = [str(f.context["error"]) for f in group if f.kind in ("value_error", "assertion_error") and f.context]
    if own:
        return "; ".join(own)
    if isinstance(node.value, float) and not math.isfinite(node.value):
        return "must be a finite number"
    wanted = [MUST[finding.kind].format(**_readable(finding.context)) for finding in group if finding.kind in MUST]
    if not wanted:
        return "is not a value that fits here"
    return f"must be {' or '.join(dict.fromkeys(wanted))}{_instead(group, node)}"


def _readable(context: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()}


def _instead(group: list[Finding], node: Node) -> str:
    value = node.value
    kinds = {finding.kind for finding in group}
    if isinstance(value, float) and value.is_integer() and kinds & {"int_type", "int_from_float"}:
        return f" (write {int(value)})"
    if isinstance(value, str):
        if any(str(finding.context.get("class_name")).endswith("Choice") for finding in group):
            return f" (write {{type: {value}}})"
        return _instead_of_text(kinds, value) or did_you_mean(value, _allowed(group))
    if "string_type" in kinds and isinstance(value, int | float):
        text = node.text or (str(value).lower() if isinstance(value, bool) else str(value))
        return f' (write "{text}")'
    return ""


def _instead_of_text(kinds: set[str], value: str) -> str:
    if "bool_type" in kinds and value.lower() in ("yes", "on", "no", "off"):
        return f" (write {'true' if value.lower() in ('yes', 'on') else 'false'})"
    if kinds & {"tuple_type", "list_type"} and "," in value:
        return f" (write [{value.strip('()[] ')}])"
    number, sign, comment = value.replace("_", "").partition("#")
    # A comma separates thousands of a whole number, and the decimals of any other.
    number = re.sub(r",(?=\d{3}\b)", "", number) if "int_type" in kinds else number.replace(",", ".", 1)
    if kinds & {"int_type", "float_type"} and re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", number):
        return f" (write {number}{' ' if sign else ''}{sign}{comment})"
    return ""


def _allowed(group: list[Finding]) -> list[str]:
    return [name for finding in group for name in re.findall(r"'([^']*)'", str(finding.context.get("expected", "")))]


def _missing(node: Node, path: Path, section_at: Callable[[Path], Section], report: Report) -> None:
    if isinstance(path[-1], int):
        report.at(node.deepest(path[:-1]), "has too few values")
        return
    parent, rest = node, path
    while len(rest) > 1 and (following := parent.child(rest[0])) is not None:
        parent, rest = following, rest[1:]
    about = section_at(path[:-1]).described(path[-1])
    report.at(parent, f"is missing: {about}" if about else "is missing", below=key_of(rest))


def _locate(detail: ErrorDetails, node: Node) -> Finding:
    """Find the node that a complaint is about: its location also names the branches of unions, which are no keys."""
    path: list[str | int] = []
    current: Node | None = node
    in_union = False
    for position, part in enumerate(detail["loc"]):
        last = position == len(detail["loc"]) - 1
        below = current.child(part) if current is not None else None
        if below is not None or (last and detail["type"] == "missing"):
            path.append(part)
            current = below
        else:
            in_union = True
    return Finding(tuple(path), detail["type"], dict(detail.get("ctx", {})), in_union)


def _merge(findings: list[Finding]) -> dict[Path, list[Finding]]:
    """Group by place; of a union, keep the branch that got furthest into the value."""
    deep = {finding.path for finding in findings if finding.in_union}
    groups: dict[Path, list[Finding]] = {}
    for finding in findings:
        beaten = finding.in_union and any(
            len(other) > len(finding.path) and other[: len(finding.path)] == finding.path for other in deep
        )
        if not beaten:
            groups.setdefault(finding.path, []).append(finding)
    return groups
