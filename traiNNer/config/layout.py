"""What the typed option tree looks like: which fields are sections, which keys exist where, under which spellings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import isclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from traiNNer.config.automation_options import OWN_SECTIONS, AutomationOptions
from traiNNer.config.choice import Choice
from traiNNer.config.options import TrainOptions, TrainSection
from traiNNer.config.tree import Path, key_of
from traiNNer.registry import AUTOMATIONS, Component, StrictOptions, fold

Form = Literal["one", "list", "map"]
AUTOMATIONS_AT = ("train", "training_automations")
EACH_AT = (*AUTOMATIONS_AT, "automations")


@dataclass(frozen=True)
class Part:
    """A field that holds sections of `model`: one, a list of them, or any number by name."""

    model: type[StrictOptions]
    form: Form
    optional: bool = False


def part_of(annotation: Any) -> Part | None:
    """Return what sections a field of this type holds, or None for a plain value."""
    if isclass(annotation) and issubclass(annotation, StrictOptions):
        return Part(annotation, "one")
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        others = [argument for argument in arguments if argument is not NoneType]
        inner = part_of(others[0]) if len(others) == 1 else None
        return inner and Part(inner.model, inner.form, optional=len(others) < len(arguments))
    inner = part_of(arguments[-1]) if origin is dict else part_of(arguments[0]) if origin is tuple else None
    return inner and Part(inner.model, "map" if origin is dict else "list")


def parts(model: type[BaseModel]) -> dict[str, Part]:
    """Return the fields of a model that are sections."""
    found = {name: part_of(field.annotation) for name, field in model.model_fields.items()}
    return {name: part for name, part in found.items() if part is not None}


def is_nullable(field: FieldInfo) -> bool:
    """Tell whether null is a value of a field, and not only the absence of one."""
    return _takes_none(field.annotation)


def _takes_none(annotation: Any) -> bool:
    if annotation in (None, NoneType, Any):
        return True
    origin = get_origin(annotation)
    inner = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    return origin in (Union, UnionType, Annotated) and any(_takes_none(argument) for argument in inner)


def static_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of a section that do not come from a component."""
    hidden = "options" if issubclass(model, Choice) else "automations" if issubclass(model, AutomationOptions) else ""
    return tuple(name for name in model.model_fields if name != hidden)


def sections(model: type[StrictOptions], at: str = "") -> Iterator[tuple[str, type[StrictOptions]]]:
    """Yield every section of the tree with its place: `train.losses[]`, `val.metrics.<name>`."""
    yield at, model
    for name, part in parts(model).items():
        if name in static_keys(model):
            tail = {"one": "", "list": "[]", "map": ".<name>"}[part.form]
            yield from sections(part.model, f"{at}.{name}{tail}".removeprefix("."))


def automations() -> dict[str, Component]:
    """Return every registered automation by name."""
    return {component.name: component for component in AUTOMATIONS}


def automation_sections() -> Iterator[tuple[str, type[StrictOptions]]]:
    """Yield the section of every registered automation with its place, and the sections inside it."""
    for name, component in automations().items():
        yield from sections(component.options, key_of(place_of(name)))


def place_of(name: str) -> tuple[str, str, *tuple[str, ...]]:
    """Return where the section of an automation stands in a file."""
    own = own_section(name)
    return ("train", own) if own else (*AUTOMATIONS_AT, name)


def snake_case(name: str) -> str:
    """Return a class name as words: `intelligent_early_stopping`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def own_section(key: str) -> str | None:
    """Return the section of `train` that an automation has to itself, by either's name; None for one among others."""
    return next((own for own, name in OWN_SECTIONS.items() if fold(key) in (fold(own), fold(name))), None)


def in_tree(path: Path) -> Path:
    """Return where a value of a file is in the checked tree, in which automations are apart from the switches."""
    if path[:1] == ("train",) and path[1:2] and path[1] in OWN_SECTIONS:
        return (*EACH_AT, OWN_SECTIONS[str(path[1])], *path[2:])
    if path[:2] != AUTOMATIONS_AT or path[2:3] == () or path[2] in static_keys(AutomationOptions):
        return path
    return (*EACH_AT, *path[2:])


def aliases(model: type[BaseModel]) -> tuple[str, ...]:
    """Return keys that may stand in a section although their canonical place is another."""
    if issubclass(model, TrainOptions):
        return ("losses", "training_automations")
    return ("val", *OWN_SECTIONS) if issubclass(model, TrainSection) else ()


def canonical(path: Path, model: type[StrictOptions]) -> Path:
    """Return the canonical place of a path in the community's spelling."""
    if issubclass(model, TrainOptions):
        if path[:1] in (("losses",), ("training_automations",)):
            path = ("train", *path)
        if path[:2] == ("train", "val"):
            path = path[1:]
        if path[:2] == AUTOMATIONS_AT and len(path) > 2 and (own := own_section(str(path[2]))):
            path = ("train", own, *path[3:])
    return path
