"""From the written tree to the typed one: every `{type: name, …}` is checked against its component's own signature."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from traiNNer.config.choice import REFUSED, Choice
from traiNNer.config.foreign import answer_to
from traiNNer.config.layout import (
    EACH_AT,
    Part,
    aliases,
    automation_sections,
    automations,
    is_nullable,
    parts,
    place_of,
    sections,
    static_keys,
)
from traiNNer.config.options import ArchChoice, TrainOptions
from traiNNer.config.problems import Section, explain, unknown
from traiNNer.config.reference.docstrings import option_docs
from traiNNer.config.tree import Node, Path, Report, nearest
from traiNNer.registry import ARCHS, CONTEXT, Component, StrictOptions, UnknownComponent

Options = TypeVar("Options", bound=StrictOptions)
GIVEN = {
    "scale": "it is given by scale at the top level",
    "seed": "it is given by manual_seed",
    "total_iter": "it is given by train.total_iter",
    "base_lr": "it is given by train.optim_g.lr",
    "networks": "they are given by network_g and network_d",
    "averages": "they are given by train.ema_decay",
    "losses": "they are given by train.losses",
    "degrade": "it is given by degradations",
}
# What is wrong with a component is reported; in its place the rest of the file is still to be checked.
PLACEHOLDER = {"type": REFUSED, "options": {}}


class Checker:
    """Checks a tree of nodes against an options model and its registered components."""

    def __init__(self, model: type[StrictOptions], report: Report) -> None:
        self.model = model
        self.report = report
        self.chosen: dict[Path, Component] = {}
        self._failed: list[tuple[ValidationError, Node, type[Choice], Path]] = []

    def check(self, root: Node, model: type[Options]) -> Options | None:
        """Return the typed options, or None when a problem was reported."""
        tree = self._section(root, model, ())
        self._explain_failed()
        try:
            options = model.parse(tree)
        except ValidationError as error:
            explain(error, root, lambda path: self._describe(_model_at(model, path), path), self.report)
            return None
        return cast(Options, options)

    def _section(self, node: Node, model: type[StrictOptions], path: Path) -> Any:
        if node.value is None:
            node.value = {}  # a section whose lines are all commented out
        if isinstance(node.value, str) and issubclass(model, Choice) and model.has_short_form:
            node.value = {"type": Node(node.value, node.line, node.key, node.source)}
        if not isinstance(node.value, dict):
            return node.plain()
        if issubclass(model, Choice):
            return self._choice(node, model, path)
        self._drop_unset(node, model)
        return self._fields(node.value, model, path)

    def _fields(self, entries: Mapping[str, Node], model: type[StrictOptions], path: Path) -> dict[str, Any]:
        nested = parts(model)
        return {
            key: self._part(child, nested[key], (*path, key)) if key in nested else child.plain()
            for key, child in entries.items()
        }

    def _part(self, node: Node, part: Part, path: Path) -> Any:
        if node.value is None and part.optional:
            return None
        if part.form == "one":
            return self._section(node, part.model, path)
        if part.form == "map":
            if node.value is None:
                node.value = {}
            if not isinstance(node.value, dict):
                return node.plain()
            return {key: self._section(child, part.model, (*path, key)) for key, child in node.value.items()}
        if not isinstance(node.value, list):
            return node.plain()
        return [self._section(child, part.model, (*path, index)) for index, child in enumerate(node.value)]

    def _choice(self, node: Node, model: type[Choice], path: Path) -> dict[str, Any]:
        fixed = static_keys(model)
        self._drop_unset(node, model)
        tree = self._fields({key: child for key, child in node.value.items() if key in fixed}, model, path)
        component = self._component(node, model)
        if component is None:
            return tree | PLACEHOLDER
        self.chosen[path] = component
        self._drop_unset(node, component.options)
        own = {key: child for key, child in node.value.items() if key not in fixed}
        options = self._fields(own, component.options, path)
        try:
            checked = component.options.parse(options)
        except ValidationError as error:
            self._failed.append((error, node, model, path))
            return tree | PLACEHOLDER
        return tree | {"type": component.name, "options": checked.model_dump(mode="json")}

    def _drop_unset(self, node: Node, model: type[StrictOptions]) -> None:
        """Take out a key that is null where that is not a value: it has its default then, or is missing."""
        for key, field in model.model_fields.items():
            child = node.value.get(key)
            # `~` is meant; a key with nothing behind it was rather forgotten, and is reported as a wrong value.
            if child is None or child.value is not None or child.text == "":
                continue
            if key not in parts(model) and not is_nullable(field):
                del node.value[key]
                if not field.is_required():
                    self.report.changed(child, "null, so the default applies")

    def _component(self, node: Node, model: type[Choice]) -> Component | None:
        name = node.child("type")
        if name is None:
            for key in [key for key in node.value if key not in model.model_fields]:
                if nearest(key, ("type",)):
                    unknown(node.value[key], key, Section(static_keys(model)), self.report)
                    return None
            known = ", ".join(model.registry.names())
            self.report.at(node, f"is missing: the {model.registry.kind}   known: {known}", below="type")
            return None
        if not isinstance(name.value, str):
            self.report.at(name, f"must be the name of a registered {model.registry.kind}")
            return None
        try:
            return model.registry[name.value]
        except UnknownComponent as error:
            answer = answer_to(model.registry.kind, name.value)
            known = ", ".join(model.registry.names())
            self.report.at(name, f"{answer}   known: {known}" if answer else str(error))
            return None

    def _explain_failed(self) -> None:
        """Report what components refused: at the end, when it is known which keys the others would take."""
        for error, node, model, path in self._failed:
            explain(error, node, lambda below, model=model, at=path: self._inside(model, at, below), self.report)

    def _inside(self, model: type[Choice], path: Path, below: Path) -> Section:
        """Describe the section of a component, or one `below` it."""
        return self._describe(_model_at(self.chosen[path].options, below) if below else model, (*path, *below))

    def _describe(self, model: type[StrictOptions] | None, path: Path) -> Section:
        if model is None:
            return Section(())
        about = {key: field.description for key, field in model.model_fields.items()}
        known = (*static_keys(model), *aliases(model))
        component = self.chosen.get(path)
        if component is not None:
            about |= option_docs(component)
            known += tuple(component.options.model_fields)
        if model is ArchChoice:
            known += ("scale",)  # may be repeated; compat takes it out
        return Section(known, about.get, lambda key: self._home(key, path))

    def _home(self, key: str, path: Path) -> str | None:
        """Tell where a key that is unknown here would belong."""
        if path in self.chosen and key in CONTEXT:
            return GIVEN[key]
        if path in self.chosen and (family := _family_with(key, self.chosen[path].name)):
            return f"is fixed by {self.chosen[path].name}; it is an option of type: {family}"
        here = _pattern(path)
        places = {_pattern(at): list(component.options.model_fields) for at, component in self.chosen.items()}
        fixed = [*sections(self.model), *(automation_sections() if self.model is TrainOptions else ())]
        homes = [at for at, section in fixed if key in static_keys(section) and key != "type"]
        homes += [at for at, keys in places.items() if key in keys]
        homes = [at for at in homes if at != here]
        if homes:
            return f"belongs to {_spoken(homes[0])}"
        only_train = self.model is not TrainOptions and key in TrainOptions.model_fields
        return "belongs to an option file of train.py" if only_train else None


def _family_with(key: str, name: str) -> str | None:
    """Return the arch of free size that a named size belongs to, if `key` is one of its options."""
    family = name.partition("_")[0]
    is_other = family != name and family in ARCHS
    return family if is_other and key in ARCHS[family].options.model_fields else None


def _pattern(path: Path) -> str:
    """Return the place of a section without the names and numbers of this file."""
    if path[: len(EACH_AT)] == EACH_AT:  # every automation has a section
        path = (*place_of(str(path[len(EACH_AT)])), *path[len(EACH_AT) + 1 :])
    text = ""
    for position, part in enumerate(path):
        named = position > 0 and path[position - 1] in ("datasets", "metrics")
        text += "[]" if isinstance(part, int) else ".<name>" if named else f".{part}"
    return text.removeprefix(".")


def _spoken(place: str) -> str:
    if not place:
        return "the top level"
    last = place.rsplit(".", 1)[-1]
    return last if last in automations() else place.replace("[]", "")


def _model_at(model: type[StrictOptions], path: Path) -> type[StrictOptions] | None:
    position = 0
    while position < len(path):
        part = parts(model).get(str(path[position]))
        if part is None:
            return None
        position += 1 if part.form == "one" else 2
        if position > len(path):
            return None
        model = part.model
    return model
