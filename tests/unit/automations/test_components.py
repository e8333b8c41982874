"""Every automation can be built from an option file."""

import inspect

import pytest

from traiNNer.automations.batch_size import BatchFallback
from traiNNer.automations.early_stopping import StoppingFallback
from traiNNer.automations.gradient_clipping import ClippingFallback
from traiNNer.automations.learning_rate_rules import CosineParams, ScheduleFallback
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import RunStarted
from traiNNer.engine.control.knobs import Knobs
from traiNNer.registry import AUTOMATIONS

FALLBACKS = {
    "IntelligentLearningRateScheduler": ScheduleFallback(scheduler_params=CosineParams(eta_min=1e-6)),
    "DynamicBatchSizeOptimizer": BatchFallback(batch_size=3),
    "AdaptiveGradientClipping": ClippingFallback(threshold=0.5),
    "IntelligentEarlyStopping": StoppingFallback(early_stopping=True),
}


@pytest.mark.parametrize(("name", "fallback"), FALLBACKS.items())
def test_automation_keeps_its_options_and_gets_a_fallback_object(name, fallback):
    component = AUTOMATIONS[name]
    options = component.options.parse({"max_adjustments": 7, "fallback": fallback.model_dump()})
    for given in (options, options.model_dump(mode="json")):
        automation = AUTOMATIONS.build(name, given)
        assert isinstance(automation, Automation)
        assert automation.max_adjustments == 7
        automation.attach(Knobs(grad_clip=1.0))
        # With a plain dict instead of the object, each would fail on its first access to the fallback.
        for run in (RunStarted(1000, 8), RunStarted(1000, 8, has_schedule=True)):
            assert isinstance(automation.ranges(run), dict)
    assert options.fallback == fallback


@pytest.mark.parametrize("name", [*FALLBACKS, "DynamicLossScheduling"])
def test_signature_is_the_schema(name):
    component = AUTOMATIONS[name]
    parameters = inspect.signature(component.builder).parameters
    assert list(parameters) == list(component.options.model_fields)
    defaults = component.options()
    for key, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert getattr(defaults, key) == parameter.default
