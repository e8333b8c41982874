"""Named variants of an arch: the same builder, the same options, other defaults."""

from collections.abc import Callable
from dataclasses import fields, replace
from inspect import Parameter, isclass, signature
from typing import Any, get_type_hints

from torch import nn

from traiNNer.registry import ARCHS

Builder = Callable[..., nn.Module]


def variant(name: str, base: Builder, about: str = "", **defaults: Any) -> Builder:
    """Register `name`: the arch `base`, which is registered already, with other defaults, each of which can be set.

    Args:
        name: The name in an option file.
        base: What builds the network.
        about: A sentence about it, shown in the reference; by default what differs.
        defaults: Options of `base` with the values that they have unless the user says otherwise. `scales` and
            `size_multiple` are traits.

    Raises:
        TypeError: `base` has no such option.
    """
    family = ARCHS[base.__name__]
    declared = {key: defaults.pop(key) for key in ("scales", "size_multiple", "least_size") if key in defaults}
    asked = signature(base).parameters
    if strange := sorted(defaults.keys() - asked.keys()):
        raise TypeError(f"{name}: {family.name} has no option '{strange[0]}'")

    def build(**given: Any) -> nn.Module:
        return base(**(defaults | given))

    def renewed(parameter: Parameter) -> Parameter:
        changed = parameter.replace(kind=Parameter.KEYWORD_ONLY)
        return changed.replace(default=defaults[parameter.name]) if parameter.name in defaults else changed

    build.__name__ = build.__qualname__ = name
    build.__module__ = base.__module__
    build.__annotations__ = get_type_hints(base.__init__ if isclass(base) else base, include_extras=True)
    vars(build)["__signature__"] = signature(base).replace(parameters=[renewed(value) for value in asked.values()])
    build.__doc__ = _documented(base, about or f"{family.name} with {_listed(defaults)}.")
    traits = replace(family.traits, family=family.name, **declared)
    return ARCHS.register(build, name=name, **{field.name: getattr(traits, field.name) for field in fields(traits)})


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{option} {_written(value)}" for option, value in values.items())


def _written(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 2 and len(set(value)) == 1:
        return f"{len(value)} x {value[0]}"
    return str(value)


def _documented(base: Builder, summary: str) -> str:
    """Return a docstring: a new summary, and what `base` says of its arguments."""
    _, _, arguments = (base.__doc__ or "").partition("Args:")
    return f"{summary}\n\n    Args:{arguments}" if arguments else summary
