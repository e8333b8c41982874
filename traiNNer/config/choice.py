"""A component by name, as it stands in the option tree."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator

from traiNNer.registry import AUTOMATIONS, Registry, StrictOptions

REFUSED = "?"
"""The `type` that stands for a component whose problems are reported already; its options are empty."""


class Choice(StrictOptions):
    """A component by name. In a file: `{type: name, option: value, …}`; `options` holds its own, validated."""

    registry: ClassVar[Registry]
    has_short_form: ClassVar[bool] = False
    """Whether the bare name of a component may be written for a section with nothing but its type."""

    type: str
    """Name of the component, in any letter case."""
    options: Annotated[Any, WithJsonSchema({"type": "object"})] = Field(default_factory=dict, validate_default=True)
    """The component's own options: an object of its schema, whose attributes differ from component to component."""

    @field_validator("options", mode="before")
    @classmethod
    def _validated(cls, value: Any, info: ValidationInfo) -> Any:
        """Validate a plain section against the schema of the component, which knows defaults and types."""
        name = info.data.get("type")
        if isinstance(value, StrictOptions) or name is None:
            return value
        return StrictOptions() if name == REFUSED else cls.registry[name].options.parse(value)

    def plain(self) -> dict[str, Any]:
        """Return the options as plain values, as they stand in a file: lists for tuples, sections as dictionaries."""
        return self.options.model_dump(mode="json")

    def get(self, name: str, default: Any = None) -> Any:
        """Return an option that not every component of the kind has."""
        return getattr(self.options, name) if name in type(self.options).model_fields else default

    def replace(self, **changed: Any) -> Self:
        """Return the same component with other options. Raises `pydantic.ValidationError` for a value it refuses."""
        return self.model_copy(update={"options": type(self.options).parse(self.plain() | changed)})


class AutomationChoice(Choice):
    """A training automation. In a file its section is named after it and needs no `type`."""

    registry = AUTOMATIONS

    enabled: bool = True
    """Switch of this automation; the section's `enabled` must be on too."""
