import pytest
from archkit import everyday
from exportkit import weights_file
from reportkit import event, write
from upscalekit import write_weights

from traiNNer.export.model_card import Release, model_card
from traiNNer.export.source import open_source
from traiNNer.report.record import read_record

FILES = [("a.onnx", 1234, "ab" * 32)]


def test_page_has_what_others_ask(tmp_path):
    run = write(
        tmp_path / "run",
        event("run_started", 0, versions={"torch": "2.7"}),
        event("validation", 40, **{"val/set/psnr": 31.5, "val/set/psnr_bicubic": 30.0}),
    )
    source = open_source(write_weights(tmp_path))
    page = model_card(Release("2x_a|b", source, read_record(run), FILES, ["it agrees"], [("worst", "images/01.png")]))
    assert page.startswith("# 2x_a\\|b\n\n2x, compact, trained with traiNNer.\n")
    for line in (
        "| a.onnx | 1,234 | " + "ab" * 32 + " |",
        "- it agrees",
        "| iterations | 40 |",
        "| trained with | torch 2.7 |",
        "| license of the network's code | BSD-3-Clause |",
        "| train.total_iter | 40 |",
        "![worst](images/01.png)",
    ):
        assert line in page.splitlines()
    assert "| set | psnr | 31.50 | 30.00 | best, at iteration 40;" in page
    assert "chaiNNer, ComfyUI and other programs that use spandrel open" in page


@pytest.mark.filterwarnings("ignore:.*nothing was tracked")
def test_what_is_not_known_is_said(tmp_path):
    member = next(member for member in everyday() if member.component.name == "paragonsr2")
    source = open_source(weights_file(tmp_path, member))
    page = model_card(Release("a", source, None, FILES, [], []))
    assert page.count("Not known here: these weights do not lie in the folder of a run.") == 2
    assert "No validation is known." in page
    assert "Programs that use spandrel do not know paragonsr2: give them the ONNX file." in page
    assert "Before and after" not in page
