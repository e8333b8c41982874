"""Every helper is built from what an option file gives."""

import inspect

import pytest

from traiNNer.automations.batch_size import BatchFallback
from traiNNer.automations.early_stopping import StoppingFallback
from traiNNer.automations.gradient_clipping import ClippingFallback
from traiNNer.automations.learning_rate import ScheduleFallback
from traiNNer.automations.loss_balance import DynamicLossScheduling
from traiNNer.config.automation_options import LossSchedulingOptions
from traiNNer.engine.automation import Automation
from traiNNer.registry import AUTOMATIONS

FALLBACKS = {
    "IntelligentLearningRateScheduler": ScheduleFallback(scheduler_params={"eta_min": 1e-6}),
    "DynamicBatchSizeOptimizer": BatchFallback(batch_size=3),
    "AdaptiveGradientClipping": ClippingFallback(threshold=0.5),
    "IntelligentEarlyStopping": StoppingFallback(early_stopping=True),
}


@pytest.mark.parametrize(("name", "fallback"), FALLBACKS.items())
def test_a_helper_keeps_every_option_and_gets_its_fallback_as_an_object(name, fallback):
    component = AUTOMATIONS[name]
    options = component.options.parse({"max_adjustments": 7, "fallback": fallback.model_dump()})
    for given in (options, options.model_dump(mode="json")):
        helper = AUTOMATIONS.build(name, given)
        assert isinstance(helper, Automation)
        assert helper.fallback == fallback
        assert type(helper.fallback) is type(fallback)
        assert helper.max_adjustments == 7
        assert all(getattr(helper, key) == getattr(options, key) for key in component.options.model_fields)


@pytest.mark.parametrize("name", [*FALLBACKS, "DynamicLossScheduling"])
def test_the_signature_is_the_schema(name):
    component = AUTOMATIONS[name]
    assert list(inspect.signature(component.builder).parameters) == list(component.options.model_fields)
    built = component.builder()
    assert component.options() == component.options(
        **{key: getattr(built, key) for key in component.options.model_fields}
    )


def test_the_balancing_of_losses_is_built_from_its_section():
    built = AUTOMATIONS.build("dynamic_loss_scheduling", LossSchedulingOptions(enabled=True, auto_calibrate=False))
    assert isinstance(built, DynamicLossScheduling)
    assert (built.enabled, built.auto_calibrate) == (True, False)
