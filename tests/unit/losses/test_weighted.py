import pytest
import torch
from torch import nn

from traiNNer.errors import DataError
from traiNNer.losses.pixel import L1Loss, MSELoss
from traiNNer.losses.weighted import Span, WeightedLosses


def images():
    return torch.full((1, 3, 4, 4), 0.75), torch.full((1, 3, 4, 4), 0.25)


def loss_of(forward) -> WeightedLosses:
    kind = type("Loss", (nn.Module,), {"forward": forward})
    return WeightedLosses([("loss", kind(), 1.0)])


def test_weight_is_applied_once_and_names_stay_apart():
    losses = WeightedLosses([("L1Loss", L1Loss(), 2.0), ("MSE_Loss", MSELoss(), 10.0), ("l1loss", L1Loss(), 0.5)])
    terms = losses(*images())
    assert {name: value.item() for name, value in terms.items()} == {"l1loss": 1.0, "mseloss": 2.5, "l1loss_2": 0.25}
    assert all(value.dtype is torch.float32 and value.shape == () for value in terms.values())


def test_losses_move_and_have_no_state():
    losses = WeightedLosses([("L1Loss", L1Loss(), 1.0)])
    assert len(list(losses.modules())) == 3
    assert not losses.state_dict()


def test_sizes_must_agree():
    output, target = images()
    with pytest.raises(ValueError, match=r"\(1, 3, 4, 4\).*\(1, 3, 4, 3\)"):
        WeightedLosses([("L1Loss", L1Loss(), 1.0)])(output, target[..., :3])


def test_loss_must_be_a_scalar():
    class PerPixel(nn.Module):
        def forward(self, output, target):
            return (output - target).abs()

    with pytest.raises(ValueError, match="perpixel must return one number"):
        WeightedLosses([("PerPixel", PerPixel(), 1.0)])(*images())


def test_losses_get_requested_arguments_and_needs_is_the_union():
    losses = WeightedLosses(
        [
            ("a", type("A", (nn.Module,), {"forward": lambda self, lq, output: (output - 2 * lq).sum()})(), 1.0),
            (
                "b",
                type("B", (nn.Module,), {"forward": lambda self, iteration, output: output.sum() * iteration})(),
                2.0,
            ),
            ("c", nn.L1Loss(), 1.0),  # torch losses are called (input, target)
        ]
    )
    assert losses.needs == {"output", "target", "lq", "iteration"}
    output, target = torch.full((1,), 3.0), torch.full((1,), 1.0)
    terms = losses(output=output, target=target, lq=torch.full((1,), 0.5), iteration=4)
    assert {name: value.item() for name, value in terms.items()} == {"a": 2.0, "b": 24.0, "c": 2.0}


def test_ema_output_is_computed_once_and_on_demand():
    calls = []

    def average():
        calls.append(1)
        return torch.ones(1)

    output = torch.full((1,), 3.0)
    WeightedLosses([("l1", L1Loss(), 1.0)])(output, output, output_ema=average)
    assert not calls
    asks = type("Asks", (nn.Module,), {"forward": lambda self, output, output_ema: (output - output_ema).sum()})
    losses = WeightedLosses([("a", asks(), 1.0), ("b", asks(), 1.0)])
    assert [value.item() for value in losses(output, output_ema=average).values()] == [2.0, 2.0]
    assert len(calls) == 1


def test_no_target_is_needed_if_no_loss_uses_it():
    losses = loss_of(lambda self, output: output.mean())
    assert losses(output=torch.full((2, 2), 3.0))["loss"].item() == 3.0


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, output, target, iteration: 0, "loss asks for 'iteration', and there is none"),
        (lambda self, output, output_ema: 0, "'output_ema', and there is none: set train.ema_decay above 0"),
    ],
)
def test_missing_requested_features_are_reported(forward, message):
    with pytest.raises(ValueError, match=message):
        loss_of(forward)(*images())


def test_missing_training_images_are_a_data_error():
    with pytest.raises(
        DataError, match=r"datasets\.train: l1 asks for 'target', and the images have no ground truth\."
    ):
        WeightedLosses([("l1", L1Loss(), 1.0)])(images()[0])
    with pytest.raises(DataError, match="loss asks for 'lq', and the images have no LQ"):
        loss_of(lambda self, output, lq: 0)(*images())


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"asks for 'mask'.*known: output, target, lq, output_ema, iteration"):
        loss_of(lambda self, output, target, mask: 0)


def test_losses_are_active_in_their_span_only():
    items = [("L1Loss", L1Loss(), 1.0), ("MSELoss", MSELoss(), 1.0)]
    losses = WeightedLosses(items, [Span(stop=5), Span(start=3)])
    found = {at: list(losses(*images(), iteration=at)) for at in range(1, 8)}
    both = ["l1loss", "mseloss"]
    assert found == {1: ["l1loss"], 2: ["l1loss"], 3: ["l1loss"], 4: both, 5: both, 6: ["mseloss"], 7: ["mseloss"]}
    with pytest.raises(ValueError, match="l1loss has start_iter or stop_iter, and the model does not tell"):
        losses(*images())


def test_average_is_computed_only_while_a_loss_asks_for_it():
    asks = type("Asks", (nn.Module,), {"forward": lambda self, output, output_ema: (output - output_ema).sum()})
    losses = WeightedLosses([("a", asks(), 1.0), ("l1", L1Loss(), 1.0)], [Span(start=5), Span()])
    output, calls = images()[0], []

    def average():
        calls.append(1)
        return output

    losses(output, output, output_ema=average, iteration=5)
    assert calls == []
    losses(output, output, output_ema=average, iteration=6)
    assert calls == [1]
