import math

import pytest
import torch

from traiNNer.losses.hsluv import GRAY, HSLuvLoss

# Hue in degrees, saturation and lightness in percent, and chroma, of two colors: the package hsluv 5.0.5 (rgb_to_hsluv,
# rgb_to_lch).
ORANGE, GREEN = (0.8, 0.4, 0.2), (0.3, 0.5, 0.2)
NUMBERS = {
    ORANGE: (26.457751, 83.546334, 54.638149, 91.324966),
    GREEN: (119.240107, 77.70463, 48.39067, 51.289935),
}


def flat(color, side=8):
    return torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, side, side).contiguous()


def only(part, **options):
    weights = {f"{name}_weight": float(name == part) for name in ("hue", "saturation", "lightness")}
    return HSLuvLoss(**weights, **options)


def restated(part):
    """Return the loss of ORANGE against GREEN from the numbers of the package."""
    (h1, s1, l1, c1), (h2, s2, l2, c2) = NUMBERS[ORANGE], NUMBERS[GREEN]
    if part == "lightness":
        return abs(l1 - l2) / 100
    if part == "saturation":
        return 2 * min(l2, 100 - l2) / 100 * abs(s1 - s2) / 100
    points = [
        0.5 * c / math.hypot(c, GRAY) * complex(math.cos(h), math.sin(h))
        for c, h in ((c1, math.radians(h1)), (c2, math.radians(h2)))
    ]
    return abs(points[0] - points[1])


@pytest.mark.parametrize("part", ["hue", "saturation", "lightness"])
def test_parts_agree_with_the_package(part):
    assert only(part)(flat(ORANGE), flat(GREEN)).item() == pytest.approx(restated(part), abs=2e-3)


def test_parts_are_added_up():
    output, target = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    parts = sum(only(part)(output, target) for part in ("hue", "saturation", "lightness"))
    torch.testing.assert_close(HSLuvLoss()(output, target), parts / 3)


def test_opposite_hues_are_one_apart_and_gray_has_none():
    red, cyan, gray = flat((1.0, 0.0, 0.0)), flat((0.0, 1.0, 1.0)), flat((0.5, 0.5, 0.5))
    assert only("hue")(red, cyan).item() == pytest.approx(1, abs=0.02)
    assert only("hue")(gray, 0.6 * gray).item() < 1e-3
    assert only("hue")(gray, red).item() == pytest.approx(0.5, abs=0.01)


def test_gray_output_learns_a_color():
    output = flat((0.5, 0.5, 0.5)).requires_grad_()
    only("hue")(output, flat(ORANGE)).backward()
    assert output.grad is not None
    assert output.grad[0, 0].sum() < 0 < output.grad[0, 2].sum()  # more red, less blue


def test_gradient_of_a_pixel_is_bounded():
    levels = torch.tensor([-0.5, -0.01, 0.0, 0.001, 0.04045, 0.5, 1.0, 1.3])
    output = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, -1, 1).requires_grad_()
    HSLuvLoss()(output, torch.full_like(output, 0.4)).backward()
    assert output.grad is not None
    of_pixels = output.grad.abs().amax(1) * output.shape[2]
    assert of_pixels.max() < 100
    assert of_pixels.min() > 0


def test_blur_and_downscaling_come_first():
    target = torch.full((1, 3, 32, 32), 0.5)
    checkers = 0.3 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2 - 1)
    sharp = only("lightness")(target + checkers, target).item()
    assert only("lightness", blur_strength=2)(target + checkers, target).item() < 0.01 * sharp
    assert only("lightness", downscale_factor=4)(target + checkers, target).item() < 0.1 * sharp


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="all 0: leave the loss out"):
        HSLuvLoss(0.0, 0.0, 0.0)
