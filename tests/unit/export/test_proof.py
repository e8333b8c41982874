import pytest
import torch
from archkit import everyday
from exportkit import weights_file
from safetensors.torch import load_file, save_file
from upscalekit import write_weights

from traiNNer.errors import NotExported
from traiNNer.export import proof
from traiNNer.export.proof import prove
from traiNNer.export.source import open_source


@pytest.mark.nightly  # every day by tests/unit/cli/test_export.py
def test_file_of_spandrel_is_opened_without_our_code(tmp_path):
    path = write_weights(tmp_path)
    said = prove(open_source(path), path, tmp_path)
    assert said.startswith("tiny.safetensors: opened by spandrel in a new process as Compact; largest difference 0.0")
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.safetensors"]


@pytest.mark.nightly
def test_arch_of_ours_is_taught_to_spandrel(tmp_path):
    member = next(member for member in everyday() if member.component.name == "paragonsr2")
    path = weights_file(tmp_path, member)
    assert "as ParagonSR2, after traiNNer.spandrel.install(); largest" in prove(open_source(path), path, tmp_path)


@pytest.mark.parametrize("error", [0.01, float("nan")])
def test_other_output_is_refused(tmp_path, monkeypatch, error):
    source = open_source(write_weights(tmp_path))

    def run(arguments, title):
        images = load_file(tmp_path / proof.IMAGES)["images"]
        save_file({"output": source.upscaled(images) + error}, tmp_path / proof.OUTPUT)
        return "Compact"

    monkeypatch.setattr(proof, "_run", run)
    with pytest.raises(NotExported, match=r"tiny.safetensors: spandrel computes something else"):
        prove(source, source.path, tmp_path)


@pytest.mark.nightly
def test_file_that_spandrel_does_not_open_is_told(tmp_path):
    source = open_source(write_weights(tmp_path))
    save_file({"a": torch.rand(3)}, tmp_path / "x.safetensors")
    with pytest.raises(NotExported, match=r"x.safetensors: spandrel does not open it \(.*Unsupported"):
        prove(source, tmp_path / "x.safetensors", tmp_path)
