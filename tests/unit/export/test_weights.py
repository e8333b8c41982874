import pytest
import torch
from safetensors.torch import load_file, safe_open
from upscalekit import write_weights as tiny_weights

from traiNNer.export.source import open_source
from traiNNer.export.weights import rounding_db, write_weights


@pytest.fixture
def source(tmp_path):
    return open_source(tiny_weights(tmp_path))


@pytest.mark.parametrize(
    ("precision", "kind"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_tensors_are_rounded_and_described(source, tmp_path, precision, kind):
    write_weights(source, tmp_path / "x.safetensors", precision)
    written = load_file(tmp_path / "x.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {kind}
    assert written.keys() == source.tensors.keys()
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert '"arch": "compact"' in file.metadata()["traiNNer"]


def test_loss_of_rounding_is_that_of_the_type(source, tmp_path):
    found = {}
    for precision in ("fp32", "fp16", "bf16"):
        write_weights(source, tmp_path / "x.safetensors", precision)
        found[precision] = rounding_db(source, tmp_path / "x.safetensors")
    assert found["fp32"] == float("inf")
    assert found["fp16"] > found["bf16"] + 10 > 50  # eight times as fine: 18 dB


def test_integers_stay_integers_and_shared_tensors_are_written(source, tmp_path):
    shared = torch.rand(4)
    object.__setattr__(source, "tensors", {"a": shared, "b": shared, "count": torch.tensor(3)})
    write_weights(source, tmp_path / "x.safetensors", "fp16")
    written = load_file(tmp_path / "x.safetensors")
    assert written["count"].dtype == torch.int64
    assert torch.equal(written["a"], written["b"])
