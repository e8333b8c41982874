"""Every benchmark that can be called is run by a test in its smallest form, so that none breaks unnoticed."""

import json
import sys
from pathlib import Path

import pytest
from imagekit import write_pairs
from runkit import REPOSITORY, run

from benchmarks import audit_faults, checkpointing, frozen_runs, gan_demo, house, picture
from benchmarks.automations.simulate import SIMULATIONS
from traiNNer import build_network

FOLDER = REPOSITORY / "benchmarks"
IN_CI = {f"automations/simulated_{name}.py" for name in SIMULATIONS} | {
    "automations/__main__.py",
    "automations/memory_faults.py",
}
RUN_ELSEWHERE = {
    "busy_machine.py": "test_busy_machine.py",
    "clock.py": "test_clock.py",
    "data_that_hurts.py": "test_data_that_hurts.py",
    "estimate.py": "test_estimate.py",
    "gpu/__main__.py": "test_gpu.py",
    "mutants.py": "test_mutants.py",
    "prediction.py": "test_prediction.py",
    "redux_templates.py": "test_redux_templates.py",
    "redux_runs.py": "test_redux_runs.py",
    "degradations.py": "test_degradations.py",
    "degradation_pictures.py": "test_degradation_pictures.py",
}
IMPORTED = {
    "audit_faults.py",
    "frozen_runs.py",
    "gan_demo.py",
    "house.py",
    "picture.py",
    "zero_config.py",
    "recipe.py",
    "real_world.py",
}
PRINTED = {
    "bookkeeping.py": (["--iterations", "2"], ["forward, backward, optimizer", "bookkeeping: "]),
    "train_step.py": (
        ["--rounds", "1", "--steps", "1", "--lq-size", "8"],
        ["paragonsr2_nano ", "compact ", "span ", "plain / ours: ", "ours / convolutions: ", "largest difference "],
    ),
    "data_path.py": (["--quick"], ["| 176x160 | kept | ", "| 176x160 | cache: off | ", " has paid | "]),
    "start.py": (
        ["--runs", "1", "--images", "8"],
        [
            "from there to iteration 1: ",
            "--help: median ",
            "mistakes: median ",
            "headers: median ",
            "the end of --check: ",
        ],
    ),
    "performance.py": (
        ["--quick", "--only", "bookkeeping.py"],
        ["# Performance", "bookkeeping: ", "Left out: start.py"],
    ),
    "scaling.py": (["--quick"], ["| paragonsr2_nano | 1 |", "| paragonsr2_nano | 2 |", "cores, load "]),
    "validation.py": (["--quick", "--rounds", "1"], ["PSNR of the RGB", "SSIM of the luma"]),
    "checkpointing.py": (["--quick"], ["paragonsr2_nano: MB", "paragonsr2_nano: ms"]),
    "libraries.py": (["--quick"], ["option file", "hash of a photo"]),
    "installation.py": ([], ["together ", "without what is for CUDA "]),
    "scene_cuts.py": (["--data", "photos", "--quick"], ["ones   0 px/frame: found ", "twos  16 px/frame: "]),
    "automations/cost.py": (["--iterations", "2", "--skipped", "1"], ["| all on ms | all off ms |", "| <= 0.2 "]),
}


def call(script: str, *arguments: object, folder: Path) -> str:
    """Run a benchmark in a folder and return what it printed."""
    done = run(f"benchmarks/{script}", *map(str, arguments), folder=folder, PYTHONPATH=str(REPOSITORY))
    assert "Traceback" not in done.output, done.output
    assert done.code in (0, 1), done.output  # 1: a target is missed, as in so short a run
    return done.output


LONG = ("bookkeeping.py", "scaling.py", "start.py", "train_step.py")
"""Start many processes or train a whole network; performance.py, which calls bookkeeping.py, is called every day."""


@pytest.mark.parametrize(
    "script", [pytest.param(name, marks=[pytest.mark.nightly] * (name in LONG)) for name in PRINTED]
)
def test_measurement_prints_its_figures(script, tmp_path):
    arguments, expected = PRINTED[script]
    write_pairs(tmp_path / "photos", 2, (200, 280), smooth=True)
    said = call(script, *arguments, folder=tmp_path)
    assert [text for text in expected if text not in said] == []


def test_planted_faults_are_counted(tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path, 10, (104, 112), smooth=True)
    monkeypatch.setattr(audit_faults, "HEADER_FILES", 2)
    monkeypatch.setattr(audit_faults, "SETS", ((), ("wrong scale", "black image", "exact duplicate")))
    monkeypatch.setattr(sys, "argv", ["audit_faults.py", "--data", str(tmp_path / "hr"), "--half", "whole"])
    audit_faults.main()
    said = capsys.readouterr().out
    assert "Headers of 2 PNGs, 1440x1440, uncached: " in said
    for fault, kind in (("wrong scale", "wrong_scale"), ("black image", "flat"), ("exact duplicate", "exact")):
        assert f"| {fault} | {kind} | 2 | 2 | 100.0% | True |" in said


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_memory_of_one_network_is_counted(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["checkpointing.py", "--network", "swinir_s", "--side", "16"])
    checkpointing.main()
    found = {line[:42].rstrip(): float(line[42:].split()[0]) for line in capsys.readouterr().out.splitlines()}
    count = sum(parameter.numel() for parameter in build_network("swinir_s", scale=2).parameters())
    assert found["weights, gradients, both moments, average"] == pytest.approx(20e-6 * count, abs=0.05)
    assert found["kept without"] > 2 * found["kept with use_checkpointing"] > 0


def test_picture_of_the_first_page_has_four_panels(tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path / "datasets/demo/val", 1, (40, 48), smooth=True)
    monkeypatch.setattr(picture, "load_network", lambda _: build_network("paragonsr2_nano", scale=2))
    options = ["--photo", "000", "--detail", "10", "8", "20"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["picture.py", *options, "--output", "made.png"])
    picture.main()
    assert "written: made.png" in capsys.readouterr().out
    height, width = picture.read_image("made.png").shape[:2]
    assert (height, width) == (20 * picture.ZOOM + picture.LABEL, 4 * 20 * picture.ZOOM + 3 * picture.GAP)


def test_picture_of_the_gan_guide_has_five_panels(tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path / "datasets/demo/val", 1, (100, 100), smooth=True)
    monkeypatch.setattr(gan_demo, "load_network", lambda _: build_network("compact", scale=2, num_feat=4, num_conv=1))
    made = tmp_path / "made.png"
    monkeypatch.setattr(sys, "argv", ["gan_demo.py", "--root", str(tmp_path), "--output", str(made)])
    gan_demo.main()
    said = capsys.readouterr().out
    assert [said.count(f"000 {name} {{") for name in ("bicubic", "fidelity", "GAN")] == [1, 1, 1]
    height, width = gan_demo.read_image(made).shape[:2]
    assert (height, width) == (96 * picture.ZOOM + picture.LABEL, 5 * 96 * picture.ZOOM + 4 * picture.GAP)


def test_house_counts_files_functions_and_imports(tmp_path, capsys):
    package = tmp_path / "traiNNer"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from traiNNer.room.b import two\n\n\ndef one() -> int:\n    return two(1)\n")
    (package / "room/__init__.py").write_text("")
    (package / "room/b.py").write_text("def two(number):\n    return number\n")
    assert house.main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for row in ("| files | 4 |", "| functions | 2 |", "| annotated | 50 % |", "| lines in all | 7 |"):
        assert row in said
    assert "| import arrows between modules | 1 |" in said


@pytest.mark.nightly
def test_digests_of_frozen_runs_are_equal_on_one_machine(tmp_path, capsys):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert frozen_runs.main(["-o", str(first), "--iterations", "8"]) == 0
    assert frozen_runs.main(["-o", str(second), "--against", str(first), "--iterations", "8"]) == 0
    assert sorted(json.loads(first.read_text())) == ["automations", "restoration", "two ranks"]
    assert capsys.readouterr().out.endswith(" equal\n")


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("script", "arguments", "row"),
    [
        ("zero_config.py", ["--budget", "1m", "--only", "fixed"], "| batch 8, crop 64, learning rate 2e-4, no EMA | "),
        ("real_world.py", ["--quick"], "gain on spoiled photos: "),
        ("recipe.py", ["--seconds", "5", "--seeds", "1", "--jobs", "2", "--only", "crops of 24"], "| crops of 24 | "),
    ],
)
def test_trainings_are_compared(script, arguments, row, tmp_path):
    write_pairs(tmp_path, 12, (100, 96), smooth=True)
    photos = ["--data", tmp_path / "hr", "--test", tmp_path / "hr", "--work", tmp_path / "work"]
    assert row in call(script, *photos, *arguments, folder=tmp_path)


def test_every_script_is_run():
    scripts = {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    called = {name for name, text in scripts.items() if 'if __name__ == "__main__":' in text}
    here = Path(__file__).read_text(encoding="utf-8")
    assert "python -m benchmarks.automations --quick" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert called == {*PRINTED, *IMPORTED, *RUN_ELSEWHERE, *IN_CI, "gpu/speed.py"}
    assert "benchmarks.gpu.speed" in scripts["gpu/__main__.py"]  # which test_gpu.py runs as a whole
    assert [name for name in IMPORTED if f"{Path(name).stem}.main(" not in here and f'("{name}"' not in here] == []
    for name, test in RUN_ELSEWHERE.items():
        text = (Path(__file__).parent / test).read_text(encoding="utf-8")
        place = Path("benchmarks", name.removesuffix("/__main__.py").removesuffix(".py"))
        forms = (".".join(place.parts), f"from {'.'.join(place.parent.parts)} import {place.name}", name)
        assert any(form in text for form in forms), name
