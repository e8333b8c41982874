import numpy as np
import pytest
from imagekit import numbers
from upscalekit import write_weights

from traiNNer.upscaling import memory
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.image import Picture, Upscaler
from traiNNer.upscaling.memory import LEAST_BYTES, SMALLEST_TILE, HostMemory
from traiNNer.upscaling.network import ReadyNetwork, open_network
from traiNNer.utils.upscaling import Tiling

KILO = 1000


@pytest.fixture
def network(tmp_path):
    return open_network(write_weights(tmp_path), open_runtime(use_cpu=True))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that plants the free memory, and the growth for each pixel of a trial; it counts the trials."""
    trials = []

    def plant(free, each):
        monkeypatch.setattr(memory, "free_memory", lambda: free)
        monkeypatch.setattr(memory, "growth", lambda call: trials.append(call()) or (each and each * 128**2))
        return trials

    return plant


def test_tile_takes_half_of_the_free_memory(network, machine):
    trials = machine(800_000 * KILO, 4 * KILO)
    host = HostMemory(network)
    fitted = host.fitted(Tiling(0, 8), 1000, 1000)
    assert fitted == Tiling(int((400_000 / 4) ** 0.5) - 2 * (8 + 16), 8)
    assert host.fitted(Tiling(1000, 8), 2000, 2000) == fitted
    assert [trial.shape for trial in trials] == [(1, 3, 256, 256)]


@pytest.mark.parametrize("tiling", [Tiling(0, 8), Tiling(64, 8)])
def test_what_fits_is_left_as_it_is(network, machine, tiling):
    machine(800_000 * KILO, 4 * KILO)
    assert HostMemory(network).fitted(tiling, 300, 300) is tiling


def test_unknown_memory_changes_nothing(network, machine):
    machine(None, 4 * KILO)
    assert HostMemory(network).fitted(Tiling(), 1000, 1000) == Tiling()


def test_small_images_are_not_tried(network, machine):
    trials = machine(1, 4 * KILO)
    assert HostMemory(network).fitted(Tiling(), 128, 128) == Tiling()
    assert trials == []


def test_no_growth_is_not_believed_and_tiles_have_a_least_size(network, machine):
    machine(2 * 500**2 * LEAST_BYTES, 0)
    assert HostMemory(network).fitted(Tiling(0, 8), 1000, 1000).size == 500 - 2 * (8 + 16)
    machine(1, 0)
    assert HostMemory(network).fitted(Tiling(0, 8), 1000, 1000).size == SMALLEST_TILE


def test_upscaler_takes_tiles_that_fit(network, machine):
    machine(2 * 150**2 * 4 * KILO, 4 * KILO)
    sizes = []

    def call(images):
        sizes.append(images.shape[-1] * images.shape[-2])
        return network.call(images)

    watched = ReadyNetwork("x", call, 2, network.traits, network.runtime)
    image = numbers(180, 200, 3)
    upscaler = Upscaler(watched, Tiling(0, 4))
    tiled = upscaler(Picture(image)).colors
    assert max(sizes) <= 150**2
    assert upscaler.tiling.size == 150 - 2 * (4 + 16)
    machine(10**12, 4 * KILO)
    assert np.abs(Upscaler(network, Tiling())(Picture(image)).colors.astype(int) - tiled).max() <= 1
