import io
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from traiNNer.utils import torch_files
from traiNNer.utils.foreign_files import ForeignFile
from traiNNer.utils.pickles import OtherTensor
from traiNNer.utils.tensor_files import read_tensors
from traiNNer.utils.torch_files import read_torch

protocols = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


def sample() -> dict:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 3, 5, generator=generator)
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.uint8)
    return {
        "base": base,
        "view": base[1:, :, ::2],
        "last": torch.randn(2, 3, 4, 4, generator=generator).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "kinds": [(base * 50).to(kind) for kind in kinds],
        "float8": base.to(torch.float8_e4m3fn),
        "words": {"a": (1, "b", None, 2.5), 5: b"bytes"},
        "rng": torch.get_rng_state(),
    }


def same(found, wanted) -> bool:
    if isinstance(wanted, torch.Tensor):
        bits = torch.uint8 if wanted.dtype.itemsize == 1 else wanted.dtype
        return (
            (found.dtype, found.shape, found.stride()) == (wanted.dtype, wanted.shape, wanted.stride())
            and torch.equal(found.view(bits), wanted.detach().view(bits))
        )  # fmt: skip
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted)) and type(found) is type(wanted)
    return found == wanted


@protocols
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_reads_what_torch_reads(tmp_path, protocol, legacy):
    path = tmp_path / "w.pth"
    torch.save(sample(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    found = read_tensors(path).values
    assert same(found, sample())
    found["base"].zero_()
    assert not found["view"].any()  # views of one storage stay views of one storage


@pytest.mark.parametrize("name", ["w.pth", "W.SAFETENSORS", "noending", "w.ckpt"])
def test_content_decides_the_format(tmp_path, name):
    save_file({"a": torch.ones(3)}, tmp_path / name, {"about": "x"})
    content = read_tensors(tmp_path / name)
    assert torch.equal(content.values["a"], torch.ones(3))
    assert content.metadata["about"] == "x"
    torch.save({"a": torch.ones(3)}, tmp_path / name)
    assert torch.equal(read_tensors(tmp_path / name).values["a"], torch.ones(3))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_other_tensors_are_told_apart(tmp_path):
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    torch.save({"s": torch.eye(3).to_sparse(), "q": quantized, "m": torch.ones(2, device="meta")}, tmp_path / "w.pth")
    found = read_tensors(tmp_path / "w.pth").values
    assert all(isinstance(tensor, OtherTensor) for tensor in found.values())
    assert [tensor.kind for tensor in found.values()] == ["sparse", "quantized", "meta"]


@pytest.mark.parametrize("legacy", [False, True])
def test_cut_files_are_told(tmp_path, legacy):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(5000)}, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(ForeignFile, match="is cut off"):
        read_tensors(path)
    save_file({"a": torch.ones(5000)}, path)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(ForeignFile, match=r"is cut off.*\(6,000 of 20,0\d\d bytes are there\)"):
        read_tensors(path)


def test_torchscript_and_other_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.pt", "w") as archive:  # what torch.jit.save writes
        for name in ("s/data.pkl", "s/code/__torch__.py", "s/constants.pkl", "s/version"):
            archive.writestr(name, "x")
    with pytest.raises(ForeignFile, match="is a TorchScript file"):
        read_tensors(tmp_path / "s.pt")
    with zipfile.ZipFile(tmp_path / "z.pth", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(ForeignFile, match=r"a zip archive without weights of torch \(readme.txt\)"):
        read_tensors(tmp_path / "z.pth")


def rewritten(pickled: bytes, data: bytes) -> io.BytesIO:
    """Return a file of torch's format with another pickle and one storage of the given bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", data)
    buffer.seek(0)
    return buffer


def pickled(shape: bytes, stride: bytes, count: bytes = b"K\x04") -> bytes:
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + stride + b"\x89NtR."


@pytest.mark.parametrize(
    ("shape", "stride", "count", "words"),
    [
        (b"K\x05\x85", b"K\x01\x85", b"K\x04", "longer than its storage"),
        (b"J\xff\xff\xff\x7f\x85", b"K\x00\x85", b"K\x04", "far more memory"),
        (b"K\x04\x85", b"K\x01\x85", b"J\xff\xff\xff\x7f", "shorter than its tensors"),
        (b"J\xff\xff\xff\xff\x85", b"K\x01\x85", b"K\x04", "impossible shape"),
        (b"K\x04\x85", b"J\xff\xff\xff\xff\x85", b"K\x04", "impossible shape"),
        (b"K\x02K\x02\x86", b"K\x01\x85", b"K\x04", "impossible shape"),
        (b"X\x01\x00\x00\x004\x85", b"K\x01\x85", b"K\x04", "impossible shape"),
    ],
)
def test_tensors_that_the_file_does_not_hold_are_refused(shape, stride, count, words):
    good = rewritten(pickled(b"K\x04\x85", b"K\x01\x85"), torch.arange(4.0).numpy().tobytes())
    assert torch.equal(read_torch(good, len(good.getvalue())), torch.arange(4.0))
    bad = rewritten(pickled(shape, stride, count), bytes(16))
    with pytest.raises(ForeignFile, match=words):
        read_torch(bad, len(bad.getvalue()))


def test_nesting_is_bounded():
    deep = b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b"."
    with pytest.raises(ForeignFile, match="nested deeper than 100 levels"):
        read_torch(io.BytesIO(deep), len(deep))
    cycle = b"\x80\x02]q\x00h\x00a."
    with pytest.raises(ForeignFile, match="nested deeper"):
        read_torch(io.BytesIO(cycle), len(cycle))
    wide = b"\x80\x02]q\x00K\x01a0" + b"".join(
        b"](" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) + b"0" for n in range(60)
    ) + b"h\x3c."  # fmt: skip
    found = read_torch(io.BytesIO(wide), len(wide))  # 2^60 paths, 61 lists
    assert len(found) == 2


@protocols
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_any_damage_ends_in_a_sentence_and_takes_little_memory(monkeypatch, legacy, seed):
    largest = 0
    real = torch.empty

    def empty(length, **options):
        nonlocal largest
        largest = max(largest, length)
        return real(length, **options)

    monkeypatch.setattr(torch_files.torch, "empty", empty)
    buffer = io.BytesIO()
    torch.save(sample(), buffer, _use_new_zipfile_serialization=not legacy)
    data, generator = buffer.getvalue(), random.Random(seed)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(generator.randrange(1, 8)):
            damaged[generator.randrange(min(len(damaged), 3000))] = generator.randrange(256)
        try:
            read_torch(io.BytesIO(damaged), len(damaged))
        except ForeignFile as error:
            assert str(error)  # noqa: PT017 - damage in the numbers alone is not seen
    assert 0 < largest <= 20 * len(data)
