"""The helper that measures how much each loss moves the network, and weighs them by it."""

from dataclasses import dataclass

from traiNNer.config.automation_options import LossSchedulingOptions
from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS


# Its section stands beside the losses, not among the helpers, so its schema is part of the option tree.
@AUTOMATIONS.register(name="DynamicLossScheduling", options=LossSchedulingOptions)
@dataclass(eq=False)
class DynamicLossScheduling(Automation):
    """Loss weights as ratios of gradient norms.

    Args:
        enabled: Switch of this section.
        auto_calibrate: Read `loss_weight` as a ratio of gradient norms, measured once after warm-up.
    """

    enabled: bool = False
    auto_calibrate: bool = True
