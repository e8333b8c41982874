"""Error diffusion, by its definition and as Pillow has it."""

import numpy as np
import torch
from PIL import Image

from traiNNer.degradations.diffusion import diffused


def one_by_one(image: np.ndarray, steps: int) -> np.ndarray:
    """Floyd and Steinberg, pixel after pixel, of rows and columns."""
    wanted, made = image.astype(np.float64), np.zeros_like(image, dtype=np.float64)
    height, width = image.shape
    for row in range(height):
        for column in range(width):
            made[row, column] = min(max(np.floor(wanted[row, column] * steps + 0.5), 0), steps) / steps
            error = wanted[row, column] - made[row, column]
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if row + down < height and 0 <= column + right < width:
                    wanted[row + down, column + right] += error * share / 16
    return made


def photo(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 2, height, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_it_is_floyd_and_steinbergs():
    images, steps = photo(2, 9, 14), torch.tensor([2.0, 5.0], dtype=torch.float64).view(-1, 1, 1, 1)
    made = diffused(images, steps, np.array([[9, 14], [9, 14]]))
    for image, result, count in zip(images, made, (2, 5), strict=True):
        for channel, plane in zip(image, result, strict=True):
            np.testing.assert_allclose(plane.numpy(), one_by_one(channel.numpy(), count), rtol=0, atol=1e-12)


def test_an_image_in_a_larger_tensor_is_as_if_alone():
    images = photo(2, 9, 14)
    made = diffused(images, torch.full((2, 1, 1, 1), 3.0, dtype=torch.float64), np.array([[9, 14], [6, 8]]))
    np.testing.assert_allclose(made[1, 0, :6, :8].numpy(), one_by_one(images[1, 0, :6, :8].numpy(), 3), atol=1e-12)


def test_pillow_agrees_but_for_its_whole_numbers():
    ramp = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (48, 1))
    theirs = np.asarray(Image.fromarray(ramp).convert("1"), dtype=np.float32)
    ours = diffused(torch.from_numpy(ramp / 255).float()[None, None], torch.ones(1, 1, 1, 1), np.array([[48, 64]]))
    areas = [image.reshape(6, 8, 8, 8).mean((1, 3)) for image in (theirs, ours[0, 0].numpy())]
    assert np.abs(areas[0] - areas[1]).mean() < 0.02
    assert np.abs(areas[1] - ramp.reshape(6, 8, 8, 8).mean((1, 3)) / 255).mean() < 0.02
