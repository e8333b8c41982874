import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.evaluation.best import BestScores
from traiNNer.engine.evaluation.evaluation import Evaluation, Scores
from traiNNer.engine.evaluation.scorer import Scorer
from traiNNer.engine.evaluation.showcase import SIDE, Showcase, chosen, hardest
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.imaging.image_file import read_image
from traiNNer.metrics.psnr import PSNR

RUNTIME = Runtime(torch.device("cpu"), "")


def scores(**values):
    return Scores({key: {"psnr": value} for key, value in values.items()})


def ranks(found):
    return {one.key: (one.rank, one.place) for one in found}


def test_worst_median_and_best_are_chosen_in_both_directions():
    found = scores(a=30.0, b=28.0, c=34.0, d=31.0, e=29.0)
    assert ranks(chosen(found, "psnr", False)) == {"b": ("worst", 1), "a": ("median", 0), "c": ("best", 2)}
    assert ranks(chosen(found, "psnr", True)) == {"c": ("worst", 2), "a": ("median", 0), "b": ("best", 1)}


def test_a_small_set_shows_each_image_once_and_nan_is_worst():
    assert ranks(chosen(scores(a=30.0, b=math.nan), "psnr", False)) == {"b": ("worst", 1), "a": ("best", 0)}
    assert ranks(chosen(scores(a=30.0, b=math.nan), "psnr", True)) == {"b": ("worst", 1), "a": ("best", 0)}
    assert ranks(chosen(scores(a=30.0), "psnr", False)) == {"a": ("worst", 0)}
    assert chosen(scores(), "psnr", False) == []


def test_crop_lies_where_the_error_is():
    target = np.zeros((2 * SIDE, 3 * SIDE, 3), np.uint8)
    output = target.copy()
    output[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = 50
    assert hardest(output, target) == (slice(SIDE, 2 * SIDE), slice(SIDE, 2 * SIDE))
    assert hardest(output[:20, :9], target[:20, :9]) == (slice(0, 20), slice(0, 9))


class Images(ImageSet):
    def __len__(self):
        return 3

    def sample(self, index, rng):
        return self.whole(index)

    def fingerprint(self):
        return "images"

    def whole(self, index):
        gt = np.full((16, 16, 3), 40 * (index + 1), np.uint8)
        return Sample(np.full((8, 8, 3), 40 * (index + 1), np.uint8), gt, f"image{index}")


class Nearest(nn.Module):
    """Doubles the sides; the brighter the image, the more it is wrong."""

    def forward(self, x):
        return torch.nn.functional.interpolate(x, scale_factor=2) * 0.9


class Book(Logbook):
    def __init__(self):
        super().__init__(quiet=True)
        self.events, self.warnings = [], []

    def event(self, kind, iteration, values):
        self.events.append((kind, iteration, values))

    def warn(self, text):
        self.warnings.append(text)


def shown(folder, dataset, iteration=7):
    book = Book()
    evaluation = Evaluation("set", dataset, {"psnr": PSNR(scale=2)}, 2, RUNTIME)
    saver = cast(Any, SimpleNamespace(save_best=lambda *_: True, refuse_lost_folder=lambda: None))
    network = Nearest().train()
    scorer = Scorer(network, "net_g", [evaluation], BestScores({"psnr": "higher"}), saver, RUNTIME, book)
    scorer.run(7, lambda: False)
    book.events.clear()
    book.warnings.clear()
    Showcase(folder / "examples", folder, RUNTIME, book).run(scorer, iteration)
    assert network.training
    return book


def test_record_has_every_score_and_the_files_of_the_crops(tmp_path):
    (kind, _, values), (other, _, examples) = shown(tmp_path, Images()).events
    assert (kind, other) == ("image_scores", "examples")
    assert values["better"] == {"psnr": "higher"}
    assert list(values["sets"]["set"]) == ["image0", "image1", "image2"]
    listed = examples["images"]
    assert [(one["rank"], one["key"]) for one in listed] == [
        ("worst", "image2"),
        ("median", "image1"),
        ("best", "image0"),
    ]
    assert listed[0]["score"] == values["sets"]["set"]["image2"]["psnr"]
    means = {part: int(read_image(tmp_path / file).mean()) for part, file in listed[0]["files"].items()}
    assert means == {"output": 108, "bicubic": 120, "gt": 120}


def test_an_older_validation_is_not_shown(tmp_path):
    assert shown(tmp_path, Images(), iteration=9).events == []


def test_a_failure_is_told_and_ends_nothing(tmp_path):
    (tmp_path / "examples").write_text("in the way")
    book = shown(tmp_path, Images())
    assert len(book.warnings) == 1
    assert book.warnings[0].startswith("No example images for the report: ")
    assert [kind for kind, *_ in book.events] == ["image_scores", "examples"]
