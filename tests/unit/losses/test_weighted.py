import pytest
import torch
from torch import nn

from traiNNer.losses.pixel import L1Loss, MSELoss
from traiNNer.losses.weighted import WeightedLosses


def images():
    return torch.full((1, 3, 4, 4), 0.75), torch.full((1, 3, 4, 4), 0.25)


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


def test_a_loss_must_be_a_scalar():
    class PerPixel(nn.Module):
        def forward(self, output, target):
            return (output - target).abs()

    with pytest.raises(ValueError, match="perpixel must return one number"):
        WeightedLosses([("PerPixel", PerPixel(), 1.0)])(*images())
