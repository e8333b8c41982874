"""Calling somebody's function with what its parameters ask for by name."""

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class NamedCall:
    """A function that gets, out of what is offered, the values that its parameters name.

    A function with exactly two parameters without default that are not both known, such as `(pred, gt)`, gets the
    first two of what is offered, in order. A parameter with a default is left at it where there is no value.

    Args:
        title: what the function is called in messages.
        function: what is called.
        offered: the names that it may ask for, each with the reason why there may be no value.
        declared: where its parameters are written, if not in `function` itself (`forward` of a module).

    Raises:
        ValueError: it asks for a name that is not offered.
    """

    def __init__(
        self,
        title: str,
        function: Callable[..., Any],
        offered: Mapping[str, str],
        declared: Callable[..., Any] | None = None,
    ) -> None:
        self.title, self.function, self.offered = title, function, offered
        written = list(signature(declared or function).parameters.values())
        parameters = [parameter for parameter in written if parameter.kind not in VARIADIC]
        required = [parameter for parameter in parameters if parameter.default is Parameter.empty]
        unknown = [parameter.name for parameter in required if not self._knows(parameter)]
        only_variadic = not parameters and any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in written)
        self._by_place: Sequence[str] = ()
        two = len(required) == 2 and all(parameter.kind is not Parameter.KEYWORD_ONLY for parameter in required)
        if only_variadic or (unknown and two):
            self._by_place = tuple(offered)[:2]
            parameters = [parameter for parameter in parameters if parameter not in required]
        elif unknown:
            raise ValueError(f"{title} asks for '{unknown[0]}', which there is not   known: {', '.join(offered)}")
        named = [p for p in parameters if self._knows(p) and p.name not in self._by_place]
        self.asked = (*self._by_place, *(parameter.name for parameter in named))
        """Every name that it asks for, also by a parameter with a default."""
        self.required = (*self._by_place, *(parameter.name for parameter in named if parameter in required))
        """The names that it cannot do without."""

    def _knows(self, parameter: Parameter) -> bool:
        return parameter.kind in BY_NAME and parameter.name in self.offered

    def __call__(self, **values: Any) -> Any:
        """Call the function with those of the values that it asks for. Raises `ValueError` if one is missing."""
        there = {name: values[name] for name in self.asked if name in values}
        for name in self.required:
            if name not in there:
                why = self.offered[name]
                raise ValueError(f"{self.title} asks for '{name}', and there is none{f': {why}' if why else ''}")
        by_place = [there.pop(name) for name in self._by_place]
        return self.function(*by_place, **there)
