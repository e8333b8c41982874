"""A component by name, as it stands in the option tree."""

from typing import Any, ClassVar

from pydantic import Field

from traiNNer.registry import AUTOMATIONS, Registry, StrictOptions


class Choice(StrictOptions):
    """A component by name. In a file: `{type: name, option: value, …}`; `options` holds its own, with every default."""

    registry: ClassVar[Registry]
    has_short_form: ClassVar[bool] = False
    """Whether the bare name of a component may be written for a section with nothing but its type."""

    type: str
    """Name of the component, in any letter case."""
    options: dict[str, Any] = Field(default_factory=dict, repr=True)


class AutomationChoice(Choice):
    """A training automation. In a file its section is named after it and needs no `type`."""

    registry = AUTOMATIONS

    enabled: bool = True
    """Switch of this helper; the section's `enabled` must be on too."""
