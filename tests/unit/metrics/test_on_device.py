import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from traiNNer.metrics.on_device import ROWS, similarity, squared_error
from traiNNer.metrics.psnr import PSNR
from traiNNer.metrics.ssim import SSIM, mean_similarity
from traiNNer.utils.color import rgb_to_y

SIDES = [(11, 11), (64, 47), (ROWS + 10, 33), (ROWS + 11, 33), (2 * ROWS + 50, 40)]


def images(sides, seed=0):
    random = np.random.default_rng(seed)
    first = random.integers(0, 256, (*sides, 3))
    return [np.clip(image, 0, 255).astype(np.uint8) for image in (first, first + random.integers(-9, 10, first.shape))]


@pytest.mark.parametrize("luma", [True, False])
@pytest.mark.parametrize("sides", SIDES)
def test_scores_are_those_of_the_plain_forms(sides, luma):
    a, b = images(sides)
    first, second = map(torch.from_numpy, (a, b))
    if luma:
        wanted = np.square(rgb_to_y(a) - rgb_to_y(b)).mean()
        plain = mean_similarity(rgb_to_y(a), rgb_to_y(b))
    else:
        wanted, plain = np.square(a.astype(float) - b).mean(), mean_similarity(a, b)
    assert squared_error(first, second, luma) == pytest.approx(wanted, rel=1e-12)
    assert similarity(first, second, luma) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("luma", [True, False])
def test_metrics_score_tensors_as_they_score_arrays(luma):
    a, b = images((90, 70), seed=1)
    tensors = list(map(torch.from_numpy, (a, b)))
    for metric in (PSNR(2, test_y_channel=luma), SSIM(2, test_y_channel=luma)):
        assert metric.on_device(*tensors) == pytest.approx(metric(a, b), abs=1e-9)
        assert metric.on_device(tensors[0], tensors[0]) == metric(a, a)


def test_similarity_agrees_with_scikit_image():
    a, b = images((80, 61), seed=2)
    _, full = structural_similarity(
        a, b, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    wanted = full[5:-5, 5:-5].mean()
    assert similarity(*map(torch.from_numpy, (a, b)), of_luma=False) == pytest.approx(wanted, abs=1e-9)


def test_tensors_that_cannot_be_compared_are_refused_in_the_same_words():
    big, small = torch.zeros(20, 30, 3, dtype=torch.uint8), torch.zeros(20, 28, 3, dtype=torch.uint8)
    for metric in (PSNR(2), SSIM(2)):
        with pytest.raises(ValueError, match="the output is 30x20 but the ground truth is 28x20"):
            metric.on_device(big, small)
    with pytest.raises(ValueError, match="SSIM needs 11x11 pixels"):
        SSIM(6).on_device(big, big)
