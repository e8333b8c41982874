"""Degradations of a batch on the device against those of each image in a data worker."""

import numpy as np
import pytest
import torch

from traiNNer.batch import Batch
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.registry import DEGRADATIONS

SIDE = 48


@pytest.mark.parametrize("name", [one for one in DEGRADATIONS.names() if DEGRADATIONS[one].traits.batched])
def test_a_batch_on_the_device_is_as_each_image_alone(name, device):
    degrader = Degrader(Recipe([Step(name, DEGRADATIONS.build(name, {}))]))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    photos = [
        127 + 100 * np.sin(rows / (3 + seed))[..., None] * np.cos(columns[..., None] / (4, 5, 6)) for seed in range(4)
    ]
    photos = np.stack(photos).astype(np.uint8)
    gt = torch.from_numpy(photos).permute(0, 3, 1, 2).float().div(255).to(device)
    batch = Batch(gt[..., :24, :24], gt, ("a", "b", "c", "d"), recipe_seeds=(1, 2, 3, 4))
    made = degrader.batch(batch, 255, is_made_of_gt=True).lq
    assert made is not None
    assert made.device.type == device.type
    for place in range(4):
        alone = degrader.lq(photos[place], place + 1, (24, 24)).astype(float)
        difference = np.abs(made[place].permute(1, 2, 0).cpu().numpy() * 255 - alone)
        assert difference.mean() < (1.5 if name == "jpeg" else 0.5)
