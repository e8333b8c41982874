"""Sections around the training automations; the options of each helper come from its own signature."""

from pydantic import Field

from traiNNer.config.choice import AutomationChoice
from traiNNer.registry import StrictOptions


class AutomationOptions(StrictOptions):
    """`train.training_automations`: one section per helper, by class name or snake_case."""

    enabled: bool = False
    """Master switch."""
    strict: bool = False
    """Let an exception in a helper end the run (for tests)."""
    shadow: bool = False
    """Log decisions without applying them."""
    helpers: dict[str, AutomationChoice] = Field(default_factory=dict)
    """The helpers that the file names, by registered name; in a file each is a section beside the switches."""


class LossSchedulingOptions(StrictOptions):
    """`train.dynamic_loss_scheduling`: loss weights as ratios of gradient norms."""

    enabled: bool = False
    """Switch of this section."""
    auto_calibrate: bool = True
    """Read `loss_weight` as a ratio of gradient norms, measured once after warm-up."""
