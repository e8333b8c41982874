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
from enum import Enum
from importlib import import_module
from inspect import Parameter, isclass, signature
from typing import Any, Generic, Self, TypeVar, get_args, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, PydanticSchemaGenerationError, create_model
from pydantic.fields import FieldInfo

from traiNNer.traits import ArchTraits, DegradationTraits, LossTraits, ModelTraits, OptimizerTraits, Traits
from traiNNer.utils.frozen import FrozenDict

Declared = TypeVar("Declared", bound=Traits)
Builder = TypeVar("Builder", bound=Callable[..., Any])
CONTEXT = ("scale", "seed", "total_iter", "base_lr", "networks", "averages", "losses", "degrade")


class Influence(Enum):
    """What an option changes when a run is resumed with another value: `Annotated[int, Influence.NEUTRAL]`.

    A field says it where it is defined, also for the sections in it; one that says nothing changes the training.
    """

    TRAINING = "training"
    """The bits of the trained weights."""
    SCORES = "scores"
    """What validation finds; training only where an automation acts on it."""
    LENGTH = "length"
    """How long the run is; training only where something is built from that, such as a cosine schedule."""
    RUNTIME = "runtime"
    """Training, but not always: what the runtime makes of it is compared instead (`Runtime.environment`)."""
    NEUTRAL = "neutral"
    """No bit of any weights, or something that is compared itself, such as the images of a folder."""


def influence_of(field: FieldInfo) -> Influence | None:
    """Return what a field declares, also deep inside its type (`Annotated[…] | None`); None where it says nothing."""
    return next(
        (mark for mark in (*field.metadata, *_arguments(field.annotation)) if isinstance(mark, Influence)), None
    )


def _arguments(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        yield argument
        yield from _arguments(argument)


class StrictOptions(BaseModel):
    """Base of every options model: no unknown key, no silent conversion, no change after loading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", use_attribute_docstrings=True)

    def model_post_init(self, _: Any) -> None:
        """Freeze the tables too, which pydantic leaves open."""
        tables = {name: FrozenDict(value) for name, value in self.__dict__.items() if isinstance(value, dict)}
        vars(self).update(tables)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields replaced, without validation, and as frozen."""
        copied = super().model_copy(update=update, deep=deep)
        copied.model_post_init(None)
        return copied

    @classmethod
    def parse(cls, tree: Mapping[str, Any]) -> "StrictOptions":
        """Validate a plain tree as read from YAML. Raises `pydantic.ValidationError` with every problem."""
        # Strict JSON mode takes a list for a tuple and a text for a path, which strict Python mode refuses.
        return cls.model_validate_json(json.dumps(tree))


class _ComponentOptions(StrictOptions):
    # Reading attribute docstrings means searching for source text; derived fields have none, so it is only slow.
    model_config = ConfigDict(use_attribute_docstrings=False)


class OptionGroup(StrictOptions):
    """Base of options that several components share.

    A parameter of such a type is not a section: its fields are options of the component itself, and the builder gets
    them back as one object.
    """


def option_groups(builder: Callable[..., Any]) -> dict[str, type[OptionGroup]]:
    """Return the option groups that a builder takes, by parameter."""
    if isclass(builder) and not any("__init__" in vars(base) for base in own_bases(builder)):
        return {}
    target = builder.__init__ if isclass(builder) else builder
    hints = get_type_hints(target)
    asked = signature(builder).parameters
    return {name: hint for name, hint in hints.items() if name in asked and _is_group(hint)}


def _is_group(hint: Any) -> bool:
    return isclass(hint) and issubclass(hint, OptionGroup)


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
        if parameter.name in CONTEXT:
            continue
        default = ... if parameter.default is Parameter.empty else parameter.default
        for name, field_ in _expanded(parameter.name, hints[parameter.name], default).items():
            if name in fields:
                raise TypeError(f"{builder.__qualname__}: option '{name}' stands twice, once in an option group")
            fields[name] = field_
    try:
        return create_model(builder.__name__, __base__=_ComponentOptions, __doc__=builder.__doc__, **fields)
    except PydanticSchemaGenerationError:
        raise TypeError(
            f"{builder.__qualname__}: options are numbers, texts, booleans and lists of them; a component is a class "
            "(or a function that returns one of its objects), and what it works on is an argument of its call"
        ) from None


def _expanded(name: str, hint: Any, default: Any) -> dict[str, Any]:
    """Return the fields that a parameter stands for: itself, or those of its option group."""
    if not _is_group(hint):
        return {name: (hint, default)}
    return {key: (info.annotation, info) for key, info in hint.model_fields.items()}


def own_bases(builder: type) -> list[type]:
    """Return the class and its bases up to torch's: what its author wrote. `nn.Module.__init__` is not a schema."""
    return [base for base in builder.__mro__ if base is not object and not base.__module__.startswith("torch.")]


@dataclass(frozen=True)
class Component(Generic[Declared]):
    """A registered builder with its schema, the context it asks for, and its declared capabilities (`traits`)."""

    name: str
    builder: Callable[..., Any]
    options: type[StrictOptions]
    context: tuple[str, ...]
    traits: Declared

    @property
    def groups(self) -> dict[str, type[OptionGroup]]:
        """The option groups that its builder takes, by parameter; none where its schema is written by hand."""
        return option_groups(self.builder) if issubclass(self.options, _ComponentOptions) else {}

    def build(self, options: Mapping[str, Any] | StrictOptions, **context: Any) -> Any:
        """Build from options, raw (validated here) or already validated, plus the context values it asks for."""
        checked = options if isinstance(options, StrictOptions) else self.options.parse(options)
        values = {name: getattr(checked, name) for name in type(checked).model_fields}
        for name, group in self.groups.items():
            values[name] = group(**{key: values.pop(key) for key in group.model_fields})
        return self.builder(**values, **{name: context[name] for name in self.context if name in context})


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
    """One kind of component, by name.

    A component of traiNNer itself is imported when it is first asked for: `home`, the package of its kind, offers names
    and the modules that register them. A plugin registers at once. `traits` is the table of what this kind declares.
    """

    def __init__(self, kind: str, traits: type[Declared], home: str = "") -> None:
        self.kind = kind
        self.traits = traits
        self.home = home
        self._offered: dict[str, tuple[str, str]] = {}
        self._hidden: set[str] = set()
        self._components: dict[str, Component[Declared]] = {}

    def offer(self, modules: Mapping[str, str], hidden: Iterable[str] = ()) -> None:
        """Announce components by name with the module whose import registers each; `hidden` ones are not listed."""
        self._offered |= {fold(name): (name, module) for name, module in modules.items()}
        self._hidden |= {fold(name) for name in hidden}

    @overload
    def register(
        self, *, name: str | None = None, options: type[StrictOptions] | None = None, **traits: Any
    ) -> Callable[[Builder], Builder]: ...

    @overload
    def register(
        self,
        builder: Builder,
        *,
        name: str | None = None,
        options: type[StrictOptions] | None = None,
        **traits: Any,
    ) -> Builder: ...

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
        if fold(title) in self._components or self._module(title) not in (None, builder.__module__):
            raise ValueError(f"{self.kind} '{title}' is registered twice")
        schema = options or options_model(builder)
        asked = signature(builder).parameters
        context = tuple(key for key in CONTEXT if key in asked and key not in schema.model_fields)
        self._components[fold(title)] = Component(title, builder, schema, context, self.traits(**traits))
        return builder

    def names(self) -> tuple[str, ...]:
        """Return every name that can be used, sorted. Imports no component."""
        titles = {key: title for key, (title, _) in self._offers().items()}
        titles |= {key: component.name for key, component in self._components.items()}
        return tuple(sorted(title for key, title in titles.items() if key not in self._hidden))

    def __contains__(self, name: str) -> bool:
        return fold(name) in self._components or fold(name) in self._offers()

    def __iter__(self) -> Iterator[Component[Declared]]:
        """Yield every component by name. Imports all of them."""
        for name, _ in self._offers().values():
            _ = self[name]
        return iter(sorted(self._components.values(), key=lambda component: component.name))

    def __getitem__(self, name: str) -> Component[Declared]:
        module = self._module(name)
        if module is not None and fold(name) not in self._components:
            import_module(module)
        try:
            return self._components[fold(name)]
        except KeyError:
            raise UnknownComponent(self.kind, name, self.names()) from None

    def build(self, name: str, options: Mapping[str, Any] | StrictOptions | None = None, **context: Any) -> Any:
        """Build the component `name`. Raises `UnknownComponent` or `pydantic.ValidationError`."""
        return self[name].build({} if options is None else options, **context)

    def _module(self, name: str) -> str | None:
        """Return the module that offers a component, None for a plugin's."""
        return self._offers().get(fold(name), ("", None))[1]

    def _offers(self) -> dict[str, tuple[str, str]]:
        """Return name and module of every component that is offered, by the folded name."""
        if self.home:
            import_module(self.home)  # which calls `offer`
        return self._offered


ARCHS = Registry("arch", ArchTraits, "traiNNer.archs")
LOSSES = Registry("loss", LossTraits, "traiNNer.losses")
METRICS = Registry("metric", Traits, "traiNNer.metrics")
DATASETS = Registry("dataset", Traits, "traiNNer.data")
DEGRADATIONS = Registry("degradation", DegradationTraits, "traiNNer.degradations")
OPTIMIZERS = Registry("optimizer", OptimizerTraits, "traiNNer.optim")
SCHEDULES = Registry("scheduler", Traits, "traiNNer.optim")
AUTOMATIONS = Registry("automation", Traits, "traiNNer.automations")
MODELS = Registry("model", ModelTraits, "traiNNer.models")
