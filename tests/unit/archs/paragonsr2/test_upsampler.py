"""The magic-kernel upsampler against its description."""

import pytest
import torch

from traiNNer.archs.paragonsr2.upsampler import RESAMPLE_TAPS, SHARPEN_TAPS, MagicUpsampler, SeparableFilter


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("taps", [SHARPEN_TAPS, RESAMPLE_TAPS])
def test_taps_keep_the_brightness_and_are_symmetric(taps):
    assert sum(taps) == pytest.approx(1)
    assert taps == taps[::-1]


def test_fixed_filter_has_the_kernel_as_impulse_response_and_no_gradient():
    taps = (0.1, 0.7, 0.2)
    made, x = SeparableFilter(2, taps), torch.zeros(1, 2, 5, 5)
    x[..., 2, 2] = 1
    row = torch.tensor(taps)
    kernel = row[:, None] * row
    close(made(x)[0, :, 1:4, 1:4], kernel.flip(0, 1).expand(2, 3, 3))
    close(made.kernels(), kernel.expand(2, 1, 3, 3))
    assert not any(parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_sharpens_repeats_pixels_and_smooths(scale, alpha):
    up, x = MagicUpsampler(2, scale, alpha), torch.rand(1, 2, 8, 9, generator=torch.Generator().manual_seed(0))
    sharp = x + alpha * (up.sharpen(x) - x)
    close(up(x), up.resample_conv(sharp.repeat_interleave(scale, 2).repeat_interleave(scale, 3)))


@pytest.mark.parametrize(("asked", "used"), [(-0.5, 0.0), (1.5, 1.0), (0.25, 0.25)])
def test_sharpening_stays_between_none_and_all(asked, used):
    assert MagicUpsampler(1, 2, asked).alpha == used


def test_constant_image_stays_constant_away_from_the_border():
    y = MagicUpsampler(1, 2, 1.0)(torch.full((1, 1, 12, 12), 0.5))
    close(y[..., 8:-8, 8:-8], torch.full((1, 1, 8, 8), 0.5))
