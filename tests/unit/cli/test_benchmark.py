import json

import pytest
from archkit import everyday
from exportkit import weights_file
from imagekit import photo
from upscalekit import write_weights

from traiNNer.cli.main import main
from traiNNer.imaging.image_file import write_image
from traiNNer.papers import command, cost
from traiNNer.papers.scores import METRICS_BY_NAME, OPTIONAL
from traiNNer.registry import METRICS


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with weights and two sets; what needs weights of others is not there, and sizes are small."""
    quick = {name: METRICS.build(*METRICS_BY_NAME[name], scale=2) for name in METRICS_BY_NAME if name not in OPTIONAL}
    monkeypatch.setattr(command, "build_metrics", lambda scale: (quick, ["lpips is not measured: no weights"]))
    monkeypatch.setattr(cost, "OUTPUT", (72, 128))
    write_weights(tmp_path)
    for name in ("Set5", "mine"):
        write_image(tmp_path / name / "a.png", photo(size=(48, 48)))
    return tmp_path


def test_tables_are_printed_and_written(place, capsys):
    """The command of docs/benchmark.md."""
    files = [place / f"x.{ending}" for ending in ("json", "md", "tex")]
    outputs = [text for file in files for text in ("-o", str(file))]
    sets = ["--set", f"Set5={place / 'Set5'}", "--set", f"Mine={place / 'mine'}"]
    assert main(["benchmark", "-m", str(place / "tiny.safetensors"), *sets, *outputs, "--cpu"]) == 0
    said = capsys.readouterr().out
    for text in (
        "tiny.safetensors, 2x. Device: CPU",
        "lpips is not measured: no weights",
        "Warning: Set5: bicubic upscaling has",
        "## Bicubic, against the published rows",
        "## Beside published networks of similar size",
    ):
        assert text in said
    assert json.loads(files[0].read_text())["scale"] == 2
    assert "## Scores" in files[1].read_text()
    assert r"\toprule" in files[2].read_text()


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["--set", "Set5={0}/none"], 3, "none is not a folder"),
        (["--set", "Set5"], 2, "write NAME=FOLDER"),
        (["--set", "a={0}/mine", "--set", "a={0}/mine"], 2, "--set a is given twice"),
        (["--set", "a={0}/mine", "-o", "x.pdf"], 2, "the name must end in .json, .md, .tex"),
        (["--set", "a={0}/mine", "--scale", "99"], 2, "--scale must be from 1 to 64, not 99"),
        (["--set", "a={0}/mine", "--tile", "-1"], 2, "--tile must be at least 0, not -1"),
    ],
)
def test_request_that_cannot_be_met_is_refused(place, capsys, asked, code, said):
    texts = [text.format(place) for text in asked]
    assert main(["benchmark", "-m", str(place / "tiny.safetensors"), *texts]) == code
    assert said in capsys.readouterr().err


def test_onnx_file_is_measured(place, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from exportkit import traced
    from upscalekit import tiny_network

    model = traced(tiny_network(), place / "x.onnx")
    assert main(["benchmark", "-m", str(model), "--set", f"Mine={place / 'mine'}", "--cpu"]) == 0
    assert "x.onnx (ONNX)" in capsys.readouterr().out


def test_network_of_clips_is_refused(place, capsys):
    member = next(member for member in everyday() if member.component.name == "temporalspan")
    assert main(["benchmark", "-m", str(weights_file(place, member)), "--set", f"Mine={place / 'mine'}", "--cpu"]) == 2
    assert "temporalspan.safetensors takes clips of 5 frames, and the papers' sets are" in capsys.readouterr().err
