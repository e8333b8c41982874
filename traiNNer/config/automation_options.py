"""Sections around the training automations; the options of each automation come from its own signature."""

from pydantic import Field

from traiNNer.config.choice import AutomationChoice
from traiNNer.registry import StrictOptions

OWN_SECTIONS = {"dynamic_loss_scheduling": "DynamicLossScheduling"}
"""Sections of `train` that hold one automation apart from the others: off unless switched on, by themselves alone."""


class AutomationOptions(StrictOptions):
    """`train.training_automations`: one section per automation, by class name or snake_case."""

    enabled: bool = False
    """Master switch."""
    strict: bool = False
    """Let an exception in an automation end the run (for tests)."""
    shadow: bool = False
    """Log decisions without applying them."""
    automations: dict[str, AutomationChoice] = Field(default_factory=dict)
    """The automations that the file names, by registered name; in a file each is a section beside the switches."""

    def active(self) -> dict[str, AutomationChoice]:
        """Return the automations that are switched on."""
        return {
            name: choice
            for name, choice in self.automations.items()
            if choice.enabled and (self.enabled or name in OWN_SECTIONS.values())
        }

    def disabled(self) -> dict[str, AutomationChoice]:
        """Return the automations that are switched off by themselves while the others are on."""
        others = {name: choice for name, choice in self.automations.items() if name not in OWN_SECTIONS.values()}
        return {name: choice for name, choice in others.items() if self.enabled and not choice.enabled}
