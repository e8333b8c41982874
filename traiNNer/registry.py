"""Names to builders. A component's typed signature is its option schema: nothing else can be written in a file for it.

    from traiNNer.registry import LOSSES

    @LOSSES.register()
    class HuberLoss(nn.Module):
        def __init__(self, delta: float = 0.1) -> None: ...
        def forward(self, output: Tensor, target: Tensor) -> Tensor: ...

Names are compared without case and underscores, so `HuberLoss`, `huberloss` and `huber_loss` are one. The framework
fills in the parameters of `CONTEXT` for a builder that asks for them; they are never options.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, isclass, signature
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticSchemaGenerationError, create_model

from traiNNer.traits import ArchTraits, LossTraits, ModelTraits, Traits

Declared = TypeVar("Declared", bound=Traits)
CONTEXT = ("scale", "seed", "total_iter", "base_lr", "networks", "averages", "losses")


class StrictOptions(BaseModel):
    """Base of every options model: no unknown key, no silent conversion, no change after loading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> "StrictOptions":
        """Validate a plain tree as read from YAML. Raises `pydantic.ValidationError` with every problem."""
        # Strict JSON mode takes a list for a tuple and a text for a path, which strict Python mode refuses.
        return cls.model_validate_json(json.dumps(tree))


class _ComponentOptions(StrictOptions):
    # Reading attribute docstrings means searching for source text; derived fields have none, so it is only slow.
    model_config = ConfigDict(use_attribute_docstrings=False)


def options_model(builder: Callable[..., Any]) -> type[StrictOptions]:
    """Derive the strict schema of a builder. Raises `TypeError` for a parameter that is not named and typed."""
    if isclass(builder) and not any("__init__" in vars(base) for base in own_bases(builder)):
        return create_model(builder.__name__, __base__=_ComponentOptions, __doc__=builder.__doc__)
    target = builder.__init__ if isclass(builder) else builder
    hints = get_type_hints(target, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in signature(builder).parameters.values():
        variadic = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if variadic or parameter.name not in hints:
            raise TypeError(f"{builder.__qualname__}: parameter '{parameter}' must be named and typed")
        if parameter.name not in CONTEXT:
            default = ... if parameter.default is Parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    try:
        return create_model(builder.__name__, __base__=_ComponentOptions, __doc__=builder.__doc__, **fields)
    except PydanticSchemaGenerationError:
        raise TypeError(
            f"{builder.__qualname__}: options are numbers, texts, booleans and lists of them; a component is a class "
            "(or a function that returns one of its objects), and what it works on is an argument of its call"
        ) from None


def own_bases(builder: type) -> list[type]:
    """Return the class and its bases up to torch's: what its author wrote. `nn.Module.__init__` is no schema."""
    return [base for base in builder.__mro__ if base is not object and not base.__module__.startswith("torch.")]


@dataclass(frozen=True)
class Component(Generic[Declared]):
    """A registered builder with its schema, the context it asks for, and its declared capabilities (`traits`)."""

    name: str
    builder: Callable[..., Any]
    options: type[StrictOptions]
    context: tuple[str, ...]
    traits: Declared

    def build(self, options: Mapping[str, Any] | StrictOptions, **context: Any) -> Any:
        """Build from options, raw (validated here) or already validated, plus the context values it asks for."""
        checked = options if isinstance(options, StrictOptions) else self.options.parse(options)
        values = {name: getattr(checked, name) for name in type(checked).model_fields}
        return self.builder(**values, **{name: context[name] for name in self.context})


class UnknownComponent(KeyError):
    """A name that nothing is registered under; `nearest` and `known` help the message."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        self.kind, self.name, self.known = kind, name, known
        close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
        self.nearest = next((k for k in known if close and k.lower() == close[0]), None)
        super().__init__(name)

    def __str__(self) -> str:
        hint = f"; did you mean '{self.nearest}'?" if self.nearest else ""
        return f"no such {self.kind}{hint}   known: {', '.join(self.known) or 'none'}"


def fold(name: str) -> str:
    """Return the form in which names are compared: lower case, no underscores."""
    return name.lower().replace("_", "")


class Registry(Generic[Declared]):
    """One kind of component, by name; `traits` is the table of what this kind declares about itself."""

    def __init__(self, kind: str, traits: type[Declared]) -> None:
        self.kind = kind
        self.traits = traits
        self._components: dict[str, Component[Declared]] = {}

    def register(
        self,
        builder: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        options: type[StrictOptions] | None = None,
        **traits: Any,
    ) -> Any:
        """Register a class or factory, as `@X.register`, `@X.register()` or a call.

        `name` defaults to the builder's own in lower case; `options` replaces the schema derived from the signature;
        `traits` are fields of the kind's table in `traiNNer.traits`.
        Raises `TypeError` for an untyped or variadic signature or an unknown trait, and `ValueError` for a name that is
        taken or a trait that cannot be.
        """
        if builder is None:
            return lambda target: self.register(target, name=name, options=options, **traits)
        title = name or builder.__name__.lower()
        if fold(title) in self._components:
            raise ValueError(f"{self.kind} '{title}' is registered twice")
        schema = options or options_model(builder)
        asked = signature(builder).parameters
        context = tuple(key for key in CONTEXT if key in asked and key not in schema.model_fields)
        self._components[fold(title)] = Component(title, builder, schema, context, self.traits(**traits))
        return builder

    def names(self) -> tuple[str, ...]:
        """Return every name that can be used, sorted."""
        usable = (component for component in self._components.values() if not component.traits.refused)
        return tuple(sorted(component.name for component in usable))

    def __contains__(self, name: str) -> bool:
        return fold(name) in self._components

    def __iter__(self) -> Iterator[Component[Declared]]:
        return iter(sorted(self._components.values(), key=lambda component: component.name))

    def __getitem__(self, name: str) -> Component[Declared]:
        try:
            return self._components[fold(name)]
        except KeyError:
            raise UnknownComponent(self.kind, name, self.names()) from None

    def build(self, name: str, options: Mapping[str, Any] | StrictOptions | None = None, **context: Any) -> Any:
        """Build the component `name`. Raises `UnknownComponent` or `pydantic.ValidationError`."""
        return self[name].build({} if options is None else options, **context)


def import_components(package: str, path: Iterable[str]) -> None:
    """Import every module of a component package, so that adding a file there is the whole registration."""
    for module in iter_modules(path):
        import_module(f"{package}.{module.name}")


ARCHS = Registry("arch", ArchTraits)
LOSSES = Registry("loss", LossTraits)
METRICS = Registry("metric", Traits)
DATASETS = Registry("dataset", Traits)
OPTIMIZERS = Registry("optimizer", Traits)
SCHEDULES = Registry("scheduler", Traits)
AUTOMATIONS = Registry("automation", Traits)
MODELS = Registry("model", ModelTraits)
