import pytest
import torch
from torch import nn

from traiNNer.batch import Batch
from traiNNer.errors import DataError
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel

LQ, GT = torch.full((1, 3, 2, 2), 2.0), torch.full((1, 3, 2, 2), 5.0)


def asked(batch: Batch, averages) -> dict:
    """Return the arguments offered to the losses."""
    offered = {}

    def losses(**inputs):
        offered.update(inputs)
        return {"l1": inputs["output"].mean()}

    (phase,) = RestorationModel({MAIN: lambda lq: 3 * lq}, averages, losses).phases(batch, 7)
    assert (phase.learner, phase.terms["l1"].item()) == (MAIN, 6.0)
    return offered


def test_losses_get_all_inputs_by_name():
    weight = nn.Parameter(torch.tensor(4.0))
    offered = asked(Batch(LQ, GT, ("a",)), {MAIN: lambda lq: weight * lq})
    assert torch.equal(offered["output"], 3 * LQ)
    assert offered["target"] is GT
    assert offered["lq"] is LQ
    assert offered["iteration"] == 7
    average = offered["output_ema"]()
    assert torch.equal(average, 4 * LQ)
    assert not average.requires_grad


def test_gt_and_ema_are_optional():
    offered = asked(Batch(LQ, None, ("a",)), {})
    assert offered["target"] is None
    assert offered["output_ema"] is None


def test_without_lq_the_image_is_named():
    model = RestorationModel({MAIN: lambda lq: lq}, {}, lambda **_: {})
    with pytest.raises(DataError, match=r"datasets\.train: a has no LQ image"):
        list(model.phases(Batch(None, GT, ("a",)), 1))
