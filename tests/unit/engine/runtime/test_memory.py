"""What training takes of a device, beside validations that take more; on a simulated allocator."""

import pytest
import torch

from benchmarks.automations.simulated_device import SimulatedDevice
from traiNNer.engine.runtime.memory import DeviceMemory, Memory, fullest
from traiNNer.engine.runtime.runtime import Runtime

CUDA = torch.device("cuda", 0)


def made(**numbers):
    device = SimulatedDevice(**{"total": 1000, "others": 100, "kept": 50} | numbers)
    return device, DeviceMemory(CUDA, device)


def test_a_reading_is_the_peak_since_the_last():
    device, memory = made()
    device.use(400)
    assert memory.read() == Memory(1000, 500, 400)
    device.empty_cache()
    assert memory.read() == Memory(1000, 500, 400)  # what was held at the last reading
    assert memory.read() == Memory(1000, 150, 50)


def test_what_runs_apart_counts_nothing_and_leaves_no_cache():
    device, memory = made()
    device.use(300)
    with memory.apart():
        assert device.reserved == 50  # the block finds all the room there is
        device.use(900)
    assert device.reserved == 50
    device.use(350)
    assert memory.read() == Memory(1000, 450, 350)


def test_what_ran_before_in_the_same_window_still_counts():
    device, memory = made()
    device.use(600)
    with memory.apart():
        device.use(900)
    device.use(200)
    assert memory.read() == Memory(1000, 700, 600)
    assert memory.read().reserved == 200


def test_retries_apart_are_not_those_of_training():
    device, memory = made()
    with pytest.raises(torch.OutOfMemoryError):
        device.use(5000)
    with pytest.raises(torch.OutOfMemoryError), memory.apart():
        device.use(5000)
    assert memory.read().retries == 1
    with pytest.raises(torch.OutOfMemoryError):
        device.use(5000)
    assert memory.read().retries == 2


def test_a_failure_apart_leaves_no_peak():
    device, memory = made()

    def broken() -> None:
        device.use(800)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), memory.apart():
        broken()
    assert memory.read().reserved == 50


@pytest.mark.parametrize(("others", "is_short"), [(100, False), (840, False), (880, True)])
def test_memory_is_short_when_less_than_a_tenth_is_free(others, is_short):
    assert made(others=others)[1].is_short() is is_short


def test_a_cpu_has_no_memory_to_tell_of():
    runtime = Runtime(torch.device("cpu"), "")
    with runtime.memory_apart():
        assert runtime.memory() is None
    assert not runtime.has_memory


def test_the_fullest_of_several_devices():
    assert fullest([Memory(10, 5, 4, 1), Memory(8, 6, 2, 3)]) == Memory(8, 6, 4, 3)


UNCLEAR = [
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
    "FIND was unable to find an engine to execute this computation",
    "GET was unable to find an engine to execute this computation",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
]


@pytest.mark.parametrize("text", UNCLEAR)
@pytest.mark.parametrize(("others", "expected"), [(100, False), (900, True)])
def test_an_unclear_error_is_one_of_memory_only_while_memory_is_short(text, others, expected):
    runtime = Runtime(torch.device("cpu"), "")
    assert not runtime.ran_out_of_memory(RuntimeError(text))
    runtime._memory = made(others=others)[1]
    assert runtime.ran_out_of_memory(RuntimeError(text)) is expected
    assert not runtime.ran_out_of_memory(RuntimeError("size mismatch"))
    assert not runtime.ran_out_of_memory(ValueError(text))
    assert runtime.ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
