import numpy as np
import pytest
import torch

from traiNNer.losses.fourier import FFLoss, FFTLoss


def pair():
    return torch.rand(2, 2, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def test_fft_agrees_with_numpy():
    output, target = pair()
    spectrum = np.fft.rfft2((output - target).double().numpy())
    expected = (np.abs(spectrum.real).mean() + np.abs(spectrum.imag).mean()) / 2
    assert FFTLoss()(output, target).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("log_matrix", [False, True])
def test_focal_agrees_with_the_paper(alpha, parts, log_matrix):
    output, target = pair()
    difference = (output - target).double().numpy()
    tall, wide = 12 // parts, 16 // parts
    terms = []
    for top in range(0, 12, tall):
        for left in range(0, 16, wide):
            power = np.abs(np.fft.fft2(difference[..., top : top + tall, left : left + wide], norm="ortho"))
            weight = power**alpha
            weight = np.log(weight + 1) if log_matrix else weight
            weight /= weight.max((-2, -1), keepdims=True)
            terms.append((weight * power**2).mean())
    loss = FFLoss(alpha, parts, log_matrix)
    assert loss(output, target).item() == pytest.approx(50 * np.mean(terms), rel=1e-4)


def test_errors_of_two_images_do_not_cancel():
    # The mean spectrum of a batch, which some implementations compare, has no error here.
    target = torch.full((2, 3, 8, 8), 0.5)
    output = target.clone()
    output[0, :, 2, 2] += 0.3
    output[1, :, 2, 2] -= 0.3
    assert FFLoss()(output, target) > 0.01


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="patch_factor 5 does not divide images of 16x12"):
        FFLoss(patch_factor=5)(*pair())
