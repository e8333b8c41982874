import pytest
from pydantic import ValidationError

from traiNNer.config.choice import REFUSED
from traiNNer.config.options import OptimizerChoice
from traiNNer.registry import OPTIMIZERS, StrictOptions, UnknownComponent


def test_options_are_validated_and_frozen():
    choice = OptimizerChoice(type="adamw", options={"lr": 1, "betas": [0.5, 0.9]})
    assert isinstance(choice.options, OPTIMIZERS["adamw"].options)
    assert (choice.options.lr, choice.options.betas, choice.options.weight_decay) == (1.0, (0.5, 0.9), 0.01)
    with pytest.raises(ValidationError, match="frozen"):
        choice.options.lr = 2.0
    with pytest.raises(ValidationError, match="lr"):
        OptimizerChoice(type="adamw", options={"lr": "fast"})
    with pytest.raises(UnknownComponent):
        OptimizerChoice(type="no_such_optimizer")


def test_choice_round_trips_as_plain_values():
    choice = OptimizerChoice(type="adamw", options={"betas": [0.5, 0.9]})
    assert choice.plain()["betas"] == [0.5, 0.9]
    assert OptimizerChoice.parse({"type": "adamw", "options": choice.plain()}) == choice


def test_option_is_replaced_only_by_a_valid_value():
    choice = OptimizerChoice(type="adamw")
    assert (choice.replace(lr=0.5).options.lr, choice.options.lr) == (0.5, 1e-3)
    assert choice.replace(lr=0.5).options.betas == choice.options.betas
    with pytest.raises(ValidationError, match="greater than 0"):
        choice.replace(lr=-1)


def test_option_missing_in_the_component_has_the_default():
    choice = OptimizerChoice(type="adamw")
    assert (choice.get("lr"), choice.get("momentum"), choice.get("momentum", 0.5)) == (1e-3, None, 0.5)


def test_component_with_reported_errors_has_no_options():
    assert OptimizerChoice.parse({"type": REFUSED, "options": {}}).options == StrictOptions()
