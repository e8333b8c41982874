"""Asks every automation of a file for what its own rules say of its section."""

from typing import Any

from traiNNer.config.automation_options import OWN_SECTIONS
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, rules_of
from traiNNer.config.facts import Facts
from traiNNer.config.layout import AUTOMATIONS_AT, EACH_AT, parts
from traiNNer.config.tree import Node, Path, Report
from traiNNer.registry import AUTOMATIONS, StrictOptions


def refuse_foreign_options(root: Node, report: Report) -> None:
    """Report options of other implementations, before they are taken for mistyped ones."""
    each = root.at(EACH_AT)
    for name, section in (each.entries() if each is not None else {}).items():
        answers = rules_of(AUTOMATIONS[name]).foreign_options
        for key, node in section.entries().items():
            if key in answers:
                report.at(node, answers[key])


def check_automations(facts: Facts) -> None:
    """Report every rule that the automations' sections break; warn of what will not do what it seems to."""
    scores = None if _is_unsure(facts) else tuple(_scores(facts))
    for at, component in facts.chosen.items():
        if at[:-1] != EACH_AT:
            continue
        options = _known(facts, at, component.options)
        for finding in rules_of(component).check_options(options, _facts(facts, component.name, scores)):
            path: Path = (*at, *finding.key.split("."))
            if isinstance(finding, OptionProblem):
                facts.problem(path, finding.message)
            elif finding.key:
                facts.report.warnings.append(f"{facts.root.deepest(path).key}{finding.text}")
            else:
                facts.report.warnings.append(finding.text)


def _known(facts: Facts, at: Path, model: type[StrictOptions]) -> StrictOptions:
    """Return the options of a section as far as they are in order: what is wrong in the file is None."""
    nested, values, written = parts(model), {}, set()
    for key, field in model.model_fields.items():
        node = facts.root.at((*at, key))
        if node is not None:
            written.add(key)
            values[key] = _value(facts, (*at, key), node, nested[key].model if key in nested else None)
        elif field.is_required():
            values[key] = None
    return model.model_construct(_fields_set=written, **values)


def _value(facts: Facts, at: Path, node: Node, model: type[StrictOptions] | None) -> Any:
    if node.key in facts.report.bad:
        return None
    return _known(facts, at, model) if model is not None and isinstance(node.value, dict) else node.plain()


def _facts(facts: Facts, name: str, scores: tuple[str, ...] | None) -> OptionFacts:
    has_clock = facts.value(("train", "end_at"), str) is not None
    return OptionFacts(
        is_on=(name in OWN_SECTIONS.values() or facts.on(*AUTOMATIONS_AT, "enabled"))
        and facts.on(*EACH_AT, name, "enabled"),
        total_iter=None if has_clock else facts.value(("train", "total_iter"), int),
        warmup_iter=facts.value(("train", "warmup_iter"), int),
        batch_size=facts.value(("datasets", "train", "batch_size_per_gpu"), int),
        is_clipping=facts.value(("train", "grad_clip"), bool),
        has_schedule=has_clock or bool(facts.entries("train", "scheduler")),
        is_validating=facts.value(("val", "val_enabled"), bool),
        val_freq=facts.value(("val", "val_freq"), int),
        scores=scores,
    )


def _is_unsure(facts: Facts) -> bool:
    """Tell whether what validation computes is not known yet, because something is wrong there."""
    return facts.is_mistyped("val") or any(key.startswith(("val.", "train.val.")) for key in facts.report.bad)


def _scores(facts: Facts) -> list[str]:
    if not facts.on("val", "metrics_enabled"):
        return []
    titles = ["val"]
    for key, node in facts.entries("datasets").items():
        name = node.child("name")
        if key != "train":
            titles += [key, *([name.value] if name is not None and isinstance(name.value, str) else [])]
    return [f"{title}/{metric}" for title in dict.fromkeys(titles) for metric in facts.entries("val", "metrics")]
