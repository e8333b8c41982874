import pytest
import torch


@pytest.fixture(autouse=True)
def restore_switches():
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(precision)
