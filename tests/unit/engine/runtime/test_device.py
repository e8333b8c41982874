from types import SimpleNamespace

import pytest
import torch

from traiNNer.engine.runtime import device as module
from traiNNer.engine.runtime.device import Device, find_device, idle_card, why_no_cuda


def test_cuda_device_belongs_to_its_rank(monkeypatch):
    card = SimpleNamespace(name="card", total_memory=80, major=9, minor=0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    device = find_device()
    assert device.handle == torch.device("cuda", 1)
    assert (device.name, device.count, device.memory) == ("card", 2, 80)


@pytest.mark.parametrize(("rank", "cards", "index"), [(0, 1, 0), (1, 1, 0), (3, 2, 1), (3, 4, 3)])
def test_a_process_that_sees_fewer_cards_than_there_are_processes_takes_one_of_them(rank, cards, index, monkeypatch):
    card = SimpleNamespace(name="card", total_memory=80, major=9, minor=0)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    assert find_device().handle == torch.device("cuda", index)


def test_cpu_is_used_without_an_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_device().handle == torch.device("cpu")


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError])
def test_cuda_failure_reason_is_one_sentence(monkeypatch, kind):
    def refuses():
        raise kind("The NVIDIA driver is too old (found version 11040). Update it.\nMore.")

    monkeypatch.setattr(torch.cuda, "init", refuses)
    assert why_no_cuda() == "The NVIDIA driver is too old (found version 11040)"


def on_cpu(built_for):
    return Device("cpu", "CPU", "no CUDA or MPS device found", 2, built_for=built_for)


@pytest.fixture
def driver(monkeypatch):
    """Return a function that plants a card and its driver; None: there is none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "why_no_cuda", lambda: "the driver is too old")
    return lambda number: monkeypatch.setattr(
        module, "cards_and_driver", lambda: number and (("NVIDIA GeForce RTX 3060",), number)
    )


def test_idle_card_is_named_with_the_line_that_installs_a_torch_for_it(driver):
    driver("572.16")
    said = idle_card(on_cpu(None))
    assert said.startswith(
        "There is a NVIDIA GeForce RTX 3060, but this torch is made for the CPU only, so the run uses"
    )
    assert said.endswith(
        "\n  pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu128"
    )
    assert "cannot use it (the driver is too old)" in idle_card(on_cpu("CUDA 13.0"))
    driver("470.57")
    assert idle_card(on_cpu("CUDA 13.0")).endswith("so the run uses the CPU; update the NVIDIA driver")


def test_nothing_is_said_of_a_card_that_is_used_hidden_or_not_there(driver, monkeypatch):
    driver(None)
    assert idle_card(on_cpu(None)) is None
    driver("572.16")
    assert idle_card(Device("cuda", "card", "CUDA is available", 2)) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert idle_card(on_cpu(None)) is None
