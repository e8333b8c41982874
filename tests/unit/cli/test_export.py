import hashlib
import json

import pytest
from archkit import Member, everyday
from exportkit import weights_file
from imagekit import photo
from reportkit import event, write
from upscalekit import write_weights

from traiNNer.cli.main import main
from traiNNer.errors import NotExported
from traiNNer.export import command
from traiNNer.export.command import Request, run_export
from traiNNer.imaging.image_file import write_image
from traiNNer.registry import ARCHS


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def needs_onnx():
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)


def test_release_is_a_folder_that_can_be_published(needs_onnx, tmp_path, capsys):
    """Weights of a run, with every form: the commands of docs/export.md.

    Compact goes through torch's exporter here, in float32 and float16.
    """
    import onnxruntime

    run = write(tmp_path / "run", event("validation", 40, **{"val/set/psnr": 31.5}))
    (run / "models").mkdir()
    model = write_weights(run / "models")
    write_image(tmp_path / "photos" / "a.png", photo(size=(64, 64)))
    asked = ["--release", "--fp16", "--int8", "--calibration", str(tmp_path / "photos"), "-o", str(tmp_path / "out")]
    assert main(["export", "-m", str(model), *asked]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "out" / "run"
    large = [f"run{ending}" for ending in (".onnx", ".safetensors", "_fp16.onnx", "_fp16.safetensors", "_int8.onnx")]
    assert names(tmp_path / "out") == sorted(
        f"run/{name}" for name in ["2x-run.json", "README.md", "SHA256SUMS", *large]
    )
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    for text in (
        "tiny.safetensors: compact, 2x, 712 parameters when released",
        "run.safetensors: opened by spandrel in a new process as Compact; largest difference",
        "run.onnx: largest difference",
        "run_int8.onnx: int8 loses",
        "2x-run.json for OpenModelDB: fill in author, license",
        f"Written: {folder}",
    ):
        assert text in said
    assert "| set | psnr | 31.50 |" in (folder / "README.md").read_text()
    assert "exporter" not in said  # nothing failed before
    session = onnxruntime.InferenceSession(str(folder / "run_fp16.onnx"))
    assert session.get_inputs()[0].type == session.get_outputs()[0].type == "tensor(float16)"
    assert len(json.loads((folder / "2x-run.json").read_text())["resources"]) == len(large)
    assert main(["export", "-m", str(model), "--torchscript", "--name", "run", "-o", str(tmp_path / "out")]) == 0
    assert (
        main(["upscale", "-m", str(folder / "run.onnx"), "-i", str(tmp_path / "photos"), "-o", str(tmp_path / "up")])
        == 0
    )
    assert names(tmp_path / "up") == ["a.png"]


def test_onnx_is_what_is_written_by_default_and_where_others_know_nothing(tmp_path):
    compact, paragon = (
        next(member for member in everyday() if member.component.name == name) for name in ("compact", "paragonsr2")
    )
    known, unknown = (command.open_source(weights_file(tmp_path, member)) for member in (compact, paragon))
    assert Request(tmp_path).wants_onnx(known)
    assert not Request(tmp_path, fp16=True).wants_onnx(known)
    assert Request(tmp_path, fp16=True).wants_onnx(unknown)


@pytest.fixture
def quick(monkeypatch):
    """Stand in for the exporter, which takes seconds."""

    def weights(work, precision):
        work.path(f"_{precision}.safetensors").write_bytes(b"x")

    monkeypatch.setattr(command, "_weights", weights)


def test_what_exists_is_left_alone_unless_asked(quick, tmp_path, capsys):
    model = write_weights(tmp_path)
    asked = ["export", "-m", str(model), "--bf16", "-o", str(tmp_path / "out")]
    assert main(asked) == 0
    (tmp_path / "out" / "tiny_bf16.safetensors").write_bytes(b"mine")
    assert main(asked) == 2
    assert "tiny_bf16.safetensors exists: --overwrite replaces it, --name gives another name" in capsys.readouterr().err
    assert (tmp_path / "out" / "tiny_bf16.safetensors").read_bytes() == b"mine"
    assert main([*asked, "--overwrite"]) == 0
    assert (tmp_path / "out" / "tiny_bf16.safetensors").read_bytes() == b"x"
    assert names(tmp_path / "out") == ["tiny_bf16.safetensors"]


def test_release_replaces_a_whole_folder(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_onnx", lambda *_, **__: None)
    monkeypatch.setattr(command, "require", lambda *_: None)
    old = tmp_path / "out" / "tiny" / "old.txt"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    model = write_weights(tmp_path)
    with pytest.raises(command.ConfigError, match="exists: --overwrite"):
        run_export(Request(model, tmp_path / "out", release=True))
    assert names(tmp_path / "out") == ["tiny/old.txt"]
    run_export(Request(model, tmp_path / "out", release=True, overwrite=True))
    assert names(tmp_path / "out") == [
        "tiny/2x-tiny.json",
        "tiny/README.md",
        "tiny/SHA256SUMS",
        "tiny/tiny_fp32.safetensors",
    ]


def test_nothing_is_written_where_one_form_fails(quick, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise NotExported("compact cannot be written as TorchScript (no)")

    monkeypatch.setattr(command, "write_torchscript", fail)
    model = write_weights(tmp_path)
    assert main(["export", "-m", str(model), "--bf16", "--torchscript", "-o", str(tmp_path / "out")]) == 1
    assert "cannot be written as TorchScript" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["--int8"], 2, "--int8 needs --calibration DIR"),
        (["--calibration", "."], 2, "--calibration has no effect without --int8"),
        (["--name", "a/b"], 2, '--name "a/b" is not allowed'),
        (["--scale", "4"], 2, "is of scale 2, not 4"),
        (["--scale", "-1"], 2, "--scale must be from 1 to 64, not -1"),
    ],
)
def test_request_that_cannot_be_met_is_refused(tmp_path, capsys, asked, code, said):
    model = write_weights(tmp_path)
    assert main(["export", "-m", str(model), *asked]) == code
    assert said in capsys.readouterr().err
    assert names(tmp_path) == ["tiny.safetensors"]


def test_network_of_clips_is_written_without_what_takes_single_images(tmp_path, capsys, monkeypatch):
    def onnx(work, half):
        work.path(".onnx").write_bytes(b"x")

    monkeypatch.setattr(command, "_onnx", onnx)
    monkeypatch.setattr(command, "require", lambda *_: None)
    member = Member(ARCHS["temporalspan"], {"num_frames": 3, "feature_channels": 8, "history_channels": 1})
    model = weights_file(tmp_path, member)
    assert main(["export", "-m", str(model), "--int8", "--calibration", str(tmp_path)]) == 2
    assert "--int8 calibrates with single images, and temporalspan takes clips" in capsys.readouterr().err
    assert main(["export", "-m", str(model), "--release", "--fp16", "--torchscript", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "temporalspan.safetensors: read back, it computes the same" in said
    assert "temporalspan.torchscript.pt: largest difference 0.0e+00 (equal)" in said
    page = (tmp_path / "out/temporalspan/README.md").read_text()
    assert "B x 3 x 3 x H x W, of any size; the middle one of the frames is made" in page
    assert "`trainner upscale -m temporalspan.safetensors -i FILM -o OUT`" in page


def test_name_of_a_run_that_is_none_for_a_folder_is_not_used(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_onnx", lambda *_, **__: None)
    monkeypatch.setattr(command, "require", lambda *_: None)
    run = write(tmp_path / "run", event("train", 4), resolved="name: ../../evil  # file line 1\n")
    (run / "models").mkdir()
    run_export(Request(write_weights(run / "models"), tmp_path / "out", release=True))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny"]


def test_missing_weights_file_is_named(tmp_path, capsys):
    assert main(["export", "-m", str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err


def test_missing_package_is_told_with_its_command(tmp_path, monkeypatch, capsys):
    from traiNNer.traits import Requirement

    missing = Requirement("no_such_package", "pip install onnx onnxscript onnxruntime")
    monkeypatch.setattr(command, "PACKAGES", (missing,))
    assert main(["export", "-m", str(write_weights(tmp_path))]) == 2
    assert "install it with: pip install onnx onnxscript onnxruntime" in capsys.readouterr().err


def test_folder_that_cannot_be_written_is_told(quick, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    asked = ["export", "-m", str(write_weights(tmp_path)), "--bf16", "-o", str(tmp_path / "file" / "out")]
    assert main(asked) == 7
    assert "Cannot write to" in capsys.readouterr().err
