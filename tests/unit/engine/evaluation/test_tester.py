"""Testing weights: images, record and table."""

import json
import math

import numpy as np
import pytest
import torch

from traiNNer.batch import Sample
from traiNNer.engine.evaluation import tester
from traiNNer.engine.evaluation.evaluation import Evaluation
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CannotWrite, OutOfMemory
from traiNNer.imaging.image_file import read_image
from traiNNer.metrics.psnr import PSNR
from traiNNer.utils.resize import imresize

RUNTIME = Runtime(torch.device("cpu"), "test")


class Pictures:
    """Constant or random LQ images, with or without their nearest-neighbor upscaling as GT."""

    def __init__(self, count: int, has_gt: bool = True, even: bool = False) -> None:
        rng = np.random.default_rng(count)
        self.lq = [np.full((16, 18, 3), 99, np.uint8) if even else rng.integers(0, 256, (16, 18, 3), np.uint8)
                   for _ in range(count)]  # fmt: skip
        self.has_gt = has_gt

    def __len__(self):
        return len(self.lq)

    def describe(self, index):
        return f"picture {index}"

    def whole(self, index):
        gt = self.lq[index].repeat(2, 0).repeat(2, 1)
        return Sample(self.lq[index], gt // 2 if self.has_gt else None, f"in/{index}")


def nearest(lq: torch.Tensor) -> torch.Tensor:
    return lq.repeat_interleave(2, 2).repeat_interleave(2, 3)


def made_for(folder, *sets, save_images=False):
    evaluations = [Evaluation(f"set{n}", data, {"psnr": PSNR(0)}, 2, RUNTIME) for n, data in enumerate(sets)]
    return tester.Tester(folder / "results", evaluations, Logbook(), save_images)


def test_returned_and_written_records_are_equal(tmp_path):
    data = Pictures(2)
    made = made_for(tmp_path, data, Pictures(1, has_gt=False))
    record = made.run(nearest)
    assert json.loads((tmp_path / "results/metrics.json").read_text()) == record
    assert list(record["set0"]["images"]) == ["in/0.png", "in/1.png"]
    for index in range(2):
        sample, scores = data.whole(index), record["set0"]["images"][f"in/{index}.png"]
        assert scores["psnr"] == PSNR(0)(nearest_image(sample.lq), sample.gt)
        assert scores["psnr_bicubic"] == PSNR(0)(imresize(sample.lq, size=sample.gt.shape[:2]), sample.gt)
    assert record["set0"]["mean"]["psnr"] == pytest.approx(
        np.mean([values["psnr"] for values in record["set0"]["images"].values()])
    )
    assert record["set1"] == {"mean": {}, "images": {"in/0.png": {}}}
    assert made.done == 3


def nearest_image(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("save", [True, False])
def test_images_are_saved_on_request(tmp_path, save):
    data = Pictures(1)
    made_for(tmp_path, data, save_images=save).run(nearest)
    path = tmp_path / "results/set0/in/0.png"
    assert path.exists() == save
    if save:
        assert np.array_equal(read_image(path), nearest_image(data.lq[0]))


@pytest.mark.parametrize("save", [False, True])
def test_results_of_fewer_bits_than_the_input_are_told(tmp_path, capsys, save):
    deep = Pictures(3)
    deep.lq[1:] = [image.astype(np.uint16) * 257 for image in deep.lq[1:]]
    made_for(tmp_path, Pictures(1), deep, save_images=save).run(nearest)
    text = "Warning: set1: 2 images have 16 bits, which the network used; results are scored and written with 8 bits."
    assert capsys.readouterr().out.count("16 bits") == save
    assert not save or read_image(tmp_path / "results/set1/in/1.png").dtype == np.uint8
    made_for(tmp_path, deep, save_images=save).run(nearest)
    assert (text.replace("set1", "set0") in capsys.readouterr().out) == save


def test_nonfinite_numbers_are_null_in_json(tmp_path, monkeypatch):
    monkeypatch.setattr(PSNR, "__call__", lambda self, output, target: math.inf)
    record = made_for(tmp_path, Pictures(1)).run(nearest)
    assert record["set0"]["images"]["in/0.png"] == {"psnr": None, "psnr_bicubic": None}
    assert record["set0"]["mean"]["psnr"] == 100


def test_table_has_a_row_per_metric_with_the_gain_over_bicubic(tmp_path, capsys):
    record = made_for(tmp_path, Pictures(2), Pictures(1, has_gt=False)).run(nearest)
    lines = capsys.readouterr().out.splitlines()
    mean = record["set0"]["mean"]
    gain = mean["psnr"] - mean["psnr_bicubic"]
    row = next(line.split() for line in lines if line.split()[:2] == ["set0", "2"])
    assert row[2:] == ["psnr", f"{mean['psnr']:.4f}", f"{mean['psnr_bicubic']:.4f}", f"{gain:+.4f}"]
    assert next(line.split() for line in lines if line.split()[:2] == ["set1", "1"])[2:] == ["–"] * 4
    title = next(line.split() for line in lines if "bicubic" in line)
    assert title == ["set", "images", "metric", "score", "bicubic", "gain"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_many_metrics_are_not_cut_off_on_a_narrow_screen(tmp_path, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    made = made_for(tmp_path, Pictures(1))
    (evaluation,) = made.evaluations
    names = {f"psnr_of_a_long_name_with_number_{number}": PSNR(0) for number in range(6)}
    evaluation = Evaluation("a set of a very long name " * 3, evaluation.dataset, names, 2, evaluation.runtime)
    made = tester.Tester(tmp_path / "results", [evaluation], made.logbook, save_images=False)
    ((_, scores),) = made.run(nearest).items()
    said = capsys.readouterr().out
    assert "…" not in said
    for name, score in scores["mean"].items():
        assert f"{score:.4f}" in said, name


@pytest.mark.parametrize(("tile_size", "words"), [(0, "as a whole"), (96, "in tiles of 96 LQ pixels")])
def test_image_that_does_not_fit_into_memory_is_named(tmp_path, tile_size, words):
    def upscale(lq):
        if lq.mean() < 0.2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return nearest(lq)

    data = Pictures(3)
    data.lq[1] = data.lq[1] // 9
    evaluation = Evaluation("photos", data, {}, 2, RUNTIME, tile_size)
    with pytest.raises(OutOfMemory) as caught:
        tester.Tester(tmp_path / "results", [evaluation], Logbook(), save_images=False).run(upscale)
    smaller = tile_size // 2 or 256
    assert str(caught.value).startswith(
        f"photos: out of memory, this image is too large {words}: picture 1. Set val.tile_size: {smaller}."
    )
    assert str(caught.value).endswith("\nDefaultCPUAllocator: can't allocate memory")


def test_other_errors_of_the_network_stay_what_they_are(tmp_path):
    def upscale(lq):
        raise RuntimeError("sizes differ")

    with pytest.raises(RuntimeError, match="sizes differ"):
        made_for(tmp_path, Pictures(1)).run(upscale)


def test_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"Cannot write to .*results \("):
        made_for(tmp_path, Pictures(1)).run(nearest)
