import io
import pickle
import struct
from collections import Counter, OrderedDict

import pytest
import torch

from traiNNer.utils import pickles
from traiNNer.utils.foreign_files import ForeignFile
from traiNNer.utils.pickles import UNREADABLE, Inert, unpickle


def read(data: bytes):
    return unpickle(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read_as_pickle_reads_them(protocol):
    value = {"a": [1, -5, 2**70, 1.5, None, True], "b": ("ä", b"x"), "c": OrderedDict(d=1), "e": Counter("aab")}
    assert read(pickle.dumps(value, protocol)) == pickle.loads(pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", [2, 4])
def test_sets_become_lists(protocol):
    assert sorted(read(pickle.dumps({"s": frozenset({1, 2})}, protocol))["s"]) == [1, 2]


def test_attributes_of_dictionaries_are_passed_over():
    value = OrderedDict(w=1)
    value._metadata = {"": {"version": 1}}
    assert read(pickle.dumps(value)) == {"w": 1}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", [(b"os", b"system"), (b"builtins", b"eval"), (b"torch", b"load"), (b"a", b"b.c")])
def test_any_other_name_is_refused_whatever_the_protocol(name, protocol):
    module, attribute = name
    if protocol < 4:
        call = b"c" + module + b"\n" + attribute + b"\n(S'1'\ntR."
    else:
        texts = b"".join(b"\x8c" + bytes([len(text)]) + text for text in name)
        call = b"\x80" + bytes([protocol]) + texts + b"\x93\x8c\x011\x85R."
    with pytest.raises(ForeignFile, match=rf"contains code \({module.decode()}\.{attribute.decode()}\)"):
        read(call)


def test_harmless_values_of_other_programs_are_passed_over():
    import argparse
    import pathlib

    import numpy as np

    value = {"hyper": argparse.Namespace(lr=1), "path": pathlib.PurePosixPath("a"), "best": np.float64(1.5), "w": 3}
    found = read(pickle.dumps(value))
    assert found["w"] == 3
    assert all(isinstance(found[key], Inert) for key in ("hyper", "path", "best"))


BOMBS = {
    "bytearray": b"\x80\x02](" + b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R" * 6 + b"e.",
    "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"].",
    "tensor": b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.",
    "storage": b"\x80\x02ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R.",
    "extension": b"\x80\x02\x82\x01.",
    "state": b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_few_bytes_take_little_memory(name):
    import tracemalloc

    tracemalloc.start()
    try:
        value = read(BOMBS[name])
    except (ForeignFile, *UNREADABLE):
        value = {}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert value == {}


def test_copies_of_one_list_are_bounded(monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 5_000)
    items = b"\x80\x02](" + b"K\x01" * 1000 + b"eq\x000"
    copy = b"c__builtin__\nset\nh\x00\x85R0"
    assert read(items + copy + b"N.") is None
    with pytest.raises(ForeignFile, match="far more memory than its size explains"):
        read(items + copy * 10 + b"N.")


def test_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 100)
    with pytest.raises(ForeignFile, match="more than 100 values"):
        read(b"\x80\x02" + b"]0" * 100 + b"N.")


def test_state_of_a_tensor_cannot_be_replaced():
    saved = io.BytesIO()
    torch.save(torch.ones(3), saved, _use_new_zipfile_serialization=False)
    data = io.BytesIO(saved.getvalue())
    for _ in range(3):
        unpickle(data)
    spec = unpickle(data)
    assert spec.shape == (3,)
    with pytest.raises(AttributeError):
        spec.offset = 5
