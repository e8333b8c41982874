import numpy as np
import pytest
import torch
from imagekit import numbers
from upscalekit import direct, tiny_network, write_weights

from traiNNer.errors import OutOfMemory
from traiNNer.traits import ArchTraits
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.image import NotFinite, Picture, Upscaler
from traiNNer.upscaling.network import ReadyNetwork, open_network
from traiNNer.utils.upscaling import Tiling


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def network(weights):
    return open_network(weights, open_runtime(use_cpu=True))


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_are_those_of_a_direct_call(network, weights, bits):
    image = numbers(11, 14, 3, bits=bits)
    result = Upscaler(network, Tiling())(Picture(image))
    assert result.colors.dtype == image.dtype
    assert np.array_equal(result.colors, direct(weights, image))
    assert result.opacity is None


def test_tiles_give_what_the_whole_image_gives(network):
    image = np.random.default_rng(0).random((90, 130, 3), np.float32)
    whole, tiled = (Upscaler(network, tiling)(Picture(image)).colors for tiling in (Tiling(), Tiling(40, 16)))
    assert whole.std() > 0.05
    assert np.abs(whole - tiled).max() < 1e-4


def test_gray_stays_gray(network):
    gray = numbers(9, 12, bits=16)
    result = Upscaler(network, Tiling())(Picture(gray)).colors
    three = torch.from_numpy(gray.astype(np.float32) / 65535).expand(1, 3, -1, -1)
    with torch.inference_mode():
        expected = tiny_network()(three)[0].mean(0).clamp(0, 1).numpy()
    assert result.shape == (18, 24)
    assert np.abs(result / 65535 - expected).max() < 1e-5


def test_opacity_is_upscaled_too(network):
    colors, opacity = numbers(9, 12, 3), numbers(9, 12, seed=3)
    upscaler = Upscaler(network, Tiling())
    result = upscaler(Picture(colors, opacity))
    assert np.array_equal(result.colors, upscaler(Picture(colors)).colors)
    assert np.array_equal(result.opacity, upscaler(Picture(opacity)).colors)


def test_even_opacity_stays_as_it_is(network):
    result = Upscaler(network, Tiling())(Picture(numbers(9, 12, 3), np.full((9, 12), 200, np.uint8)))
    assert np.array_equal(result.opacity, np.full((18, 24), 200, np.uint8))


def limited(network, most):
    """Return a network that has memory for `most` pixels, and the list of the images that it was called with."""
    calls = []

    def call(images):
        calls.append(tuple(images.shape[-2:]))
        if images.shape[-1] * images.shape[-2] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network.call(images)

    return ReadyNetwork(network.name, call, network.scale, network.traits, network.runtime), calls


def test_tiles_are_halved_until_they_fit_and_stay_small(network):
    small, calls = limited(network, 110 * 110)
    upscaler = Upscaler(small, Tiling(0, 16))
    image = numbers(150, 200, 3)
    whole = Upscaler(network, Tiling())(Picture(image)).colors
    assert np.abs(upscaler(Picture(image)).colors.astype(int) - whole).max() <= 1
    assert (150, 200) in calls
    assert upscaler.tiling.size == 50
    calls.clear()
    upscaler(Picture(image))
    assert max(calls) < (110, 110)


def test_no_memory_even_for_the_smallest_tiles_is_said(network):
    small, _ = limited(network, 100)
    with pytest.raises(OutOfMemory, match=r"even in tiles of 50 pixels. \(CUDA out of memory\)"):
        Upscaler(small, Tiling())(Picture(numbers(50, 50, 3)))


def test_other_errors_are_not_taken_for_a_lack_of_memory(network):
    def call(images):
        raise RuntimeError("shapes do not fit")

    broken = ReadyNetwork("x", call, 2, ArchTraits(), network.runtime)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Upscaler(broken, Tiling())(Picture(numbers(5, 5, 3)))


def test_output_that_is_no_number_is_refused(network):
    broken = tiny_network()
    torch.nn.init.constant_(broken.body[0].bias, torch.nan)

    def call(images):
        with torch.inference_mode():
            return broken(images)

    with pytest.raises(NotFinite, match="is not finite"):
        Upscaler(ReadyNetwork("x", call, 2, ArchTraits(), network.runtime), Tiling())(Picture(numbers(5, 5, 3)))
