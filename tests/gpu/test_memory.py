"""The memory of a card: what the automations are told, and what running out of it does."""

import pytest
import torch

from benchmarks.gpu.training import images, training_of
from traiNNer.automations.memory_model import fit
from traiNNer.engine.control.knobs import MICRO_BATCH
from traiNNer.models.protocol import MAIN

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]
NANO = {"arch": "paragonsr2_nano"}
SIDE = 96


def peak_at(cuda, size):
    """Return the peak of a few steps in micro-batches of a size, in bytes."""
    training = training_of(cuda, NANO, batch=size)
    training.advance([images(size, SIDE)])
    training.runtime.release_memory()
    training.runtime.memory()
    for _ in range(2):
        training.advance([images(size, SIDE)])
    return training.runtime.memory().reserved


def test_the_line_over_the_micro_batch_predicts_four_sizes(cuda):
    line = fit({size: [peak_at(cuda, size)] for size in (4, 8)})
    for size in (6, 12, 16, 24):
        torch.cuda.empty_cache()
        assert line.at(size) == pytest.approx(peak_at(cuda, size), rel=0.05), size


def test_validation_takes_nothing_from_the_memory_of_training(cuda):
    training, batch = training_of(cuda, NANO), images(8, SIDE)

    def window(validates):
        for step in range(4):
            training.advance([batch])
            if validates and step % 2:
                with training.runtime.memory_apart(), training.runtime.inference_with_saved_rng():
                    training.learners[MAIN].shipped(torch.rand(1, 3, 1024, 1024, device=cuda))
        return training.runtime.memory()

    with training.runtime.memory_apart():
        window(validates=False)
    alone = window(validates=False)
    beside = [window(validates=True) for _ in range(3)]
    assert all(memory.reserved <= 1.02 * alone.reserved for memory in beside)
    assert {memory.retries for memory in beside} == {alone.retries}


def test_running_out_of_memory_halves_the_batch_and_gives_all_back(cuda):
    batch = images(16, SIDE)
    peaks = {size: peak_at(cuda, size) for size in (8, 16)}
    free = training_of(cuda, NANO, batch=16)
    free.advance([batch])
    expected = [parameter.detach().clone() for parameter in free.learners[MAIN].parameters]
    halves = training_of(cuda, NANO, batch=8)
    halves.stepper.knobs[MICRO_BATCH].set(8, 0)
    del free
    torch.cuda.empty_cache()
    halves.advance([batch])
    halves.runtime.release_memory()
    usual = torch.cuda.memory_reserved(cuda)
    del halves
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(cuda).total_memory
    torch.cuda.set_per_process_memory_fraction((peaks[8] + peaks[16]) / 2 / total, cuda)
    try:
        training = training_of(cuda, NANO, batch=16, retries=True)
        training.advance([batch])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, cuda)
    assert training.stepper.knobs[MICRO_BATCH].value == 8
    training.runtime.release_memory()
    assert torch.cuda.memory_reserved(cuda) == pytest.approx(usual, rel=0.02)
    for found, wanted in zip(training.learners[MAIN].parameters, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
