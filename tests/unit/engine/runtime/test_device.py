from types import SimpleNamespace

import pytest
import torch

from traiNNer.engine.runtime.device import find_device, why_no_cuda


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
