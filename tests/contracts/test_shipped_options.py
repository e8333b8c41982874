"""Every option file that ships is checked, loads, and names the schema that editors complete it with."""

import json
import re
from pathlib import Path

import pytest
from runkit import REPOSITORY, record, run

from traiNNer.config.load import load_options
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.stages import has_stages, load_stages

FILES = sorted((REPOSITORY / "options").rglob("*.yml"))
MAIN = "options/2x_paragonsr2.yml"
GAN = "options/train/2x_gan_two_stages.yml"


def title(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def is_test(path: Path) -> bool:
    return "test" in path.relative_to(REPOSITORY).parts[:-1]


def test_main_files_exist():
    assert {MAIN, GAN, "options/test/2x_paragonsr2.yml"} <= set(map(title, FILES))


@pytest.mark.parametrize("path", FILES, ids=title)
def test_loads_without_a_warning(path):
    import traiNNer.run.build  # noqa: F401 - registers every component

    if not is_test(path) and has_stages(path):
        every = [stage.loaded for stage in load_stages(path)]
    else:
        every = [load_options(path, TestOptions if is_test(path) else TrainOptions)]
    assert [warning for loaded in every for warning in loaded.warnings] == []


@pytest.mark.parametrize("path", FILES, ids=title)
def test_its_first_line_names_its_schema(path):
    match = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", path.read_text().splitlines()[0])
    assert match
    schema = json.loads((path.parent / match.group(1)).read_text())
    assert ("train" in schema["properties"]) is not is_test(path)


@pytest.mark.parametrize("path", FILES, ids=title)
def test_every_line_with_a_value_is_explained_or_plain(path):
    """Most keys of a shipped file have a comment."""
    lines = [line for line in path.read_text().splitlines() if re.search(r"^\s*(- )?\w+: *[^\s#]", line)]
    assert sum("#" in line for line in lines) >= len(lines) / 2


def test_main_job_makes_its_demo_set_trains_and_is_tested(tmp_path):
    """A real run of the same files with fewer iterations."""
    options = (REPOSITORY / MAIN, REPOSITORY / "options/test/2x_paragonsr2.yml")
    short = ("--set", "train.total_iter=8", "--set", "val.val_freq=4", "--set", "logger.use_tb_logger=false")
    result = run("train.py", "-opt", options[0], *short, folder=tmp_path)
    assert result.code == 0, result.output
    assert result.output.count("datasets/demo/train/hr is missing: preparing the demo set…") == 1
    assert "Demo set: 5 photos to train on and 2 to validate with, in datasets/demo" in result.output
    assert re.search(r"validation 4  demo: psnr \d\d\.\d\d \(bicubic 33\.44, -?\+?\d+\.\d\d\)", result.output)
    assert result.output.rstrip().endswith("finished: 8/8")
    for place in ("train/hr", "train/lr", "val/hr", "val/lr"):
        assert list((tmp_path / "datasets/demo" / place).glob("*.png"))
    kinds = {entry["event"] for entry in record(tmp_path, "2x_paragonsr2")}
    assert kinds == {"run_started", "train", "validation", "image_scores", "examples", "run_finished"}

    tested = run("test.py", "-opt", options[1], folder=tmp_path)
    assert tested.code == 0, tested.output
    assert "preparing" not in tested.output
    mean = json.loads((tmp_path / "results/2x_paragonsr2/metrics.json").read_text())["demo"]["mean"]
    assert mean["psnr_bicubic"] == pytest.approx(33.4446, abs=1e-3)


def test_gan_job_trains_both_stages_on_the_demo_photos(tmp_path):
    """The same file with few iterations: the score rises, every term pulls, and validation measures drift."""
    short = ["train.total_iter=24", "datasets.train.lq_size=16", "val.val_freq=12", "logger.print_freq=6"]
    short += ["stages.fidelity.train.warmup_iter=0", "stages.gan.network_d.num_feat=4", "logger.use_tb_logger=false"]
    short += ["stages.gan.network_d.input_size=32", "stages.gan.model.net_d_init_iters=0"]
    sets = [argument for value in short for argument in ("--set", value)]
    result = run("train.py", "-opt", REPOSITORY / GAN, *sets, folder=tmp_path)
    assert result.code == 0, result.output
    fidelity, gan = (record(tmp_path, f"2x_gan_two_stages/{stage}") for stage in ("fidelity", "gan"))
    for lines in (fidelity, gan):
        validations = [line for line in lines if line["event"] == "validation"]
        assert [line["iter"] for line in validations] == [12, 24]
        assert validations[0]["val/demo/psnr"] < validations[1]["val/demo/psnr"]
    for line in [line for line in gan if line["event"] == "train"]:
        assert min(value for name, value in line.items() if name.startswith("share/")) > 0
        assert line["net_d/grad_norm"] > 0
    last = [line for line in gan if line["event"] == "validation"][-1]
    assert last["val/demo/detail_ratio"] > 0
    scores = [[line["val/demo/psnr"] for line in stage if line["event"] == "validation"] for stage in (fidelity, gan)]
    assert scores[1][0] > scores[0][-1]  # it began where fidelity ended


@pytest.mark.nightly
def test_main_job_beats_bicubic_by_a_decibel(tmp_path):
    result = run("train.py", "-opt", REPOSITORY / MAIN, folder=tmp_path, timeout=1800)
    assert result.code == 0, result.output
    last = [entry for entry in record(tmp_path, "2x_paragonsr2") if entry["event"] == "validation"][-1]
    assert last["val/demo/psnr"] - last["val/demo/psnr_bicubic"] >= 1.0


def test_block_for_the_rtx_3060_loads_when_it_is_uncommented(tmp_path):
    import traiNNer.run.build  # noqa: F401 - registers every component

    text = (REPOSITORY / "options/train/2x_paragonsr2_automations.yml").read_text(encoding="utf-8")
    section, block = text.index("  training_automations:\n"), text.index("  # For an RTX 3060")
    end = text.index("\nval:\n")
    lines = [line.removeprefix("  # ").removeprefix("  #") for line in text[block:end].splitlines()[2:]]
    path = tmp_path / "rtx.yml"
    path.write_text(text[:section] + "".join(f"  {line}\n" for line in lines) + text[end:], encoding="utf-8")
    loaded = load_options(path, TrainOptions)
    assert (
        loaded.options.train.training_automations.automations["DynamicBatchSizeOptimizer"].options.max_batch_size == 16
    )
    assert [one for one in loaded.warnings if "target_vram_usage belongs to DynamicBatchSizeOptimizer; ignored" in one]
