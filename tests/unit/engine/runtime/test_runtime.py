import numpy as np
import pytest
import torch

from traiNNer.batch import Batch
from traiNNer.engine.runtime.runtime import Runtime


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_integers_become_exact_floats_on_the_device(layout):
    runtime = Runtime(torch.device("cpu"), "", memory_format=layout)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    deep = torch.from_numpy(np.arange(65536, dtype=np.uint16).reshape(1, 256, 256, 1).repeat(3, 3))
    batch = runtime.move(Batch(levels, deep, ("a",)))
    assert batch.lq.shape == (1, 3, 16, 16)
    assert torch.equal(batch.lq[0, 0].flatten(), torch.arange(256) / 255)
    assert torch.equal(batch.gt[0, 1].flatten(), torch.arange(65536) / 65535)
    assert batch.lq.is_contiguous(memory_format=layout)
