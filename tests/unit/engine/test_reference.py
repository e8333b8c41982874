import numpy as np
import pytest
import torch

from traiNNer.batch import Batch
from traiNNer.engine.reference import BicubicReference, ReferenceInTime, matrix, upscale
from traiNNer.losses.pixel import L1Loss, MSELoss
from traiNNer.utils.resize import imresize


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_matches_our_bicubic(scale, memory_format):
    images = torch.rand(2, 3, 9, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(scale))
    result = upscale(images.contiguous(memory_format=memory_format), scale)
    for image, enlarged in zip(images, result, strict=True):
        expected = imresize(image.permute(1, 2, 0).numpy(), float(scale))
        assert np.abs(enlarged.permute(1, 2, 0).numpy() - expected).max() < 1e-12


def test_measures_the_weighted_loss_of_bicubic():
    lq, gt = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    value = BicubicReference(L1Loss(), 2, weight=3.0)(Batch(lq, gt, ("a", "b")))
    assert value.item() == pytest.approx(3 * (upscale(lq, 2) - gt).abs().mean().item())


def test_scale_one_compares_the_images_themselves():
    lq, gt = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    assert BicubicReference(L1Loss(), 1)(Batch(lq, gt, ("a",))).item() == pytest.approx((lq - gt).abs().mean().item())


def test_reference_is_that_of_the_first_active_loss():
    batch = Batch(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16), ("a",))
    l1, mse = BicubicReference(L1Loss(), 2), BicubicReference(MSELoss(), 2)
    reference = ReferenceInTime([(lambda at: at <= 5, l1), (lambda at: 3 < at <= 9, mse)])
    expected = {1: l1(batch), 5: l1(batch), 6: mse(batch), 9: mse(batch)}
    assert all(torch.equal(reference(batch, at), value) for at, value in expected.items())
    assert torch.isnan(reference(batch, 10))


def test_kept_matrix_is_for_training_too():
    """Whoever asks first may validate, and autograd refuses to save a tensor of inference."""
    matrix.cache_clear()
    with torch.inference_mode():
        kept = matrix(8, 2, torch.float32, torch.device("cpu"))
    assert not kept.is_inference()
    assert matrix.cache_info().currsize == 1
