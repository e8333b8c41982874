import pytest
import torch
from archkit import Member, everyday
from exportkit import weights_file

from traiNNer.errors import NotExported
from traiNNer.export.onnx_graph import describe, write_onnx
from traiNNer.export.source import open_source, shape_of
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.network import open_network

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
PLAIN = ("paragonsr2", "span")
DAILY = PLAIN[:1]
"""Compact is exported every day by tests/unit/cli/test_export.py."""
REFUSED = {"seemore_t": "the network chooses by the values of an image what it computes"}
"""Families that no exporter can write for images of any size, and what is said."""
UNDECIDED = ("atd", "craft", "dat", "dctlsa", "drct", "fdat", "grl", "hat", "rgt", "scunet", "swin2sr")
"""Families of which exporters of one version write a file and those of another do not: both are right if told."""
MEMBERS = [
    pytest.param(member, id=member.component.name, marks=[pytest.mark.nightly] * (member.component.name not in DAILY))
    for member in everyday()
]
pytestmark = [pytest.mark.filterwarnings("ignore:torch.meshgrid")]


def exported(source, path):
    """Return what was written, or why nothing was."""
    try:
        return write_onnx(source, path), ""
    except NotExported as error:
        return None, str(error)


@pytest.mark.parametrize("member", MEMBERS)
def test_family_computes_the_same_in_onnx(member: Member, tmp_path):
    source = open_source(weights_file(tmp_path, member))
    if member.component.name in REFUSED:
        with pytest.raises(NotExported, match=REFUSED[member.component.name]):
            write_onnx(source, tmp_path / "x.onnx")
        assert not (tmp_path / "x.onnx").exists()
        return
    written, refusal = exported(source, tmp_path / "x.onnx")
    if written is None:
        assert member.component.name in UNDECIDED
        assert "cannot be exported to ONNX" in refusal
        assert not (tmp_path / "x.onnx").exists()
        return
    assert written.agreement.largest < 1e-4
    opened = open_network(tmp_path / "x.onnx", open_runtime(use_cpu=True))
    images = torch.rand(*shape_of(1, source.frames), max(41, source.least_side), max(67, source.least_side))
    assert (opened.scale, opened.frames) == (member.scale, source.frames)
    torch.testing.assert_close(opened.call(images), source.upscaled(images), rtol=1e-4, atol=1e-4)
    if member.component.name in PLAIN:
        assert written.notes == ()  # by torch's exporter, at the first attempt


def compact() -> Member:
    return next(member for member in everyday() if member.component.name == "compact")


@pytest.mark.nightly
def test_half_precision_takes_and_gives_half(tmp_path):
    import onnxruntime

    source = open_source(weights_file(tmp_path, compact()))
    written = write_onnx(source, tmp_path / "x.onnx", half=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"))
    assert session.get_inputs()[0].type == session.get_outputs()[0].type == "tensor(float16)"
    assert 1e-6 < written.agreement.largest < 1e-2


def test_failed_attempts_are_said_and_the_next_way_is_taken(tmp_path, monkeypatch):
    import traiNNer.export.onnx_graph as module

    def fail(*_):
        raise RuntimeError("cannot do it\nadvice") from ValueError("no such operator")

    first, *_, traced = module.WAYS
    monkeypatch.setattr(module, "WAYS", (module._Way(first.title, fail, 2), traced))
    written = write_onnx(open_source(weights_file(tmp_path, compact())), tmp_path / "x.onnx")
    assert written.notes == (
        "x.onnx: torch's exporter: ValueError: no such operator",
        "x.onnx: written by the tracing exporter, one image at a time, which computes the same.",
    )


def test_network_that_cannot_be_exported_is_told_with_every_reason(tmp_path, monkeypatch):
    import traiNNer.export.onnx_graph as module

    def other(network, example, path):
        torch.onnx.export(torch.nn.Upsample(scale_factor=2), (example,), str(path), dynamo=False, opset_version=17)

    def fail(*_):
        raise RuntimeError("cannot do it:\nthis operator is unknown\nadvice")

    monkeypatch.setattr(module, "WAYS", (module._Way("one", fail, 1), module._Way("another", other, 1)))
    reason = r"  one: RuntimeError: cannot do it: this operator is unknown\n"
    with pytest.raises(NotExported, match=r"compact cannot be exported to ONNX:\n" + reason):
        write_onnx(open_source(weights_file(tmp_path, compact())), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_description_is_in_the_file_and_changes_nothing(tmp_path):
    import onnx

    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:])), tmp_path / "x.onnx")
    describe(tmp_path / "x.onnx", {"traiNNer.scale": "2"})
    model = onnx.load(tmp_path / "x.onnx")
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("traiNNer.scale", "2")]
    assert [node.op_type for node in model.graph.node] == ["Identity"]
