from pathlib import Path

import numpy as np
import pytest
import torch
from bookkit import Book
from imagekit import photo
from torch import nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.engine.evaluation.suspects import Examination, Suspect, central, excess, judge, nominated, verdicts
from traiNNer.engine.reference import upscale
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import DataError
from traiNNer.traits import ArchTraits
from traiNNer.utils.resize import imresize

DAMAGED = 9
NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255


def bicubic(image: np.ndarray) -> torch.Tensor:
    return upscale(tensor(imresize(image, 0.5))[None], 2)[0]


@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (-2, 3), (4, -4)])
@pytest.mark.parametrize("name", NAMES[:3])
def test_shift_is_measured(name, shift):
    image = photo(name, (240, 240))
    large = bicubic(image)
    found = judge(large, torch.roll(tensor(image), shift, (1, 2)))
    assert found is not None
    assert found.kind == f"shifted by ({shift[0]}, {shift[1]}) px"


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 2), (2, 3), (3, 0)])
def test_images_of_two_scenes_do_not_belong_together(one, other):
    large = bicubic(photo(NAMES[one], (240, 240)))
    found = judge(large, tensor(photo(NAMES[other], (240, 240))))
    assert found is not None
    assert found.kind == "does not belong together"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_a_pair_even_if_noisy(name):
    image = tensor(photo(name, (240, 240)))
    large = bicubic(photo(name, (240, 240)))
    noise = 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert judge(large, image) is None
    assert judge(large, image + noise) is None


def test_flat_and_black_images_are_no_suspects():
    grain = 0.002 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert judge(0.5 + grain[0], 0.5 + grain[1]) is None
    black = torch.zeros(3, 64, 64)
    assert judge(black, black) is None
    assert excess(black + 0.003, black, black) == 1


def test_excess_is_the_error_by_that_of_bicubic():
    target, bicubic = torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.1)
    assert excess(3 * bicubic, target, bicubic) == pytest.approx(3)
    assert excess(bicubic * 1.03, target, bicubic) == 1  # less than a gray level


def test_output_is_worse_than_bicubic_only_where_that_is_unusual():
    shifted = Suspect("shifted by (0, 1) px", 1.5)
    found = verdicts({1: (None, 0.9), 2: (None, 1.4), 3: (shifted, 2.0), 4: (None, 0.9), 5: (None, 1.1)})
    assert list(found) == [3]
    found = verdicts({1: (None, 0.9), 2: (None, 1.6), 3: (shifted, 2.0), 4: (None, 0.9), 5: (None, 1.1)})
    assert {place: one.kind for place, one in found.items()} == {3: shifted.kind, 2: "worse than bicubic"}
    assert verdicts({1: (None, 1.8), 2: (None, 2.0), 3: (None, 1.6)}) == {}
    assert verdicts({}) == {}


@pytest.mark.parametrize(("images", "count"), [(5, 10), (200, 10), (400, 20), (800, 40), (100_000, 64)])
def test_few_images_get_a_closer_look(images, count):
    assert nominated(images) == count


def test_center_of_both_images_is_cut_alike_and_what_does_not_fit_is_left_out():
    gt = photo(NAMES[0], (400, 300))
    found = central(Sample(imresize(gt, 0.5), gt, "x"), 2)
    assert found is not None
    assert np.array_equal(found.gt, gt[72:328, 22:278])
    assert found.lq is not None
    assert np.array_equal(found.lq, imresize(gt, 0.5)[36:164, 11:139])
    lq = imresize(gt, 0.5)
    for sample in (Sample(lq, gt[:-2], "x"), Sample(lq, None, "x"), Sample(lq[:8, :8], gt[:16, :16], "x")):
        assert central(sample, 2) is None


class Photos(ImageSet):
    """Four photos; the second lies 2 px further right in GT, the GT of the third is that of the fourth."""

    def __len__(self):
        return 4

    def sample(self, index, rng):
        raise NotImplementedError

    def whole(self, index):
        if index == DAMAGED:
            raise DataError("damaged image x.png")
        image = photo(NAMES[index], (240, 240))
        gt = np.roll(image, 2, 1) if index == 1 else photo(NAMES[3], (240, 240)) if index == 2 else image
        return Sample(imresize(image, 0.5), gt, NAMES[index])

    def fingerprint(self):
        return {}

    def paired_files(self):
        return {name: (Path("hr", name), Path("lr", name)) for name in NAMES}


class Bicubic(nn.Module):
    def forward(self, lq):
        assert not self.training
        return upscale(lq, 2)


def look(places) -> Book:
    book, network = Book(), Bicubic().train()
    Examination(Photos(), network, 2, ArchTraits(), Runtime(torch.device("cpu"), ""), book).run(places, 700)
    assert network.training
    return book


def test_what_hurts_is_listed_worst_first_and_recorded():
    book = look([0, 1, 2, 3])
    assert book.warnings == [
        "2 of the 4 training pairs that the network explains worst hurt, worst first:\n"
        "  does not belong together: hr/chelsea.png (lr/chelsea.png)\n"
        "  shifted by (0, 2) px: hr/coffee.png (lr/coffee.png)\n"
        "  `trainner audit --gt … --lq … --deep --fix list` lists the good images, for meta_info of the training set."
    ]
    event = book.events[-1]
    assert (event["event"], event["iter"], event["examined"]) == ("suspect_images", 700, 4)
    assert [image["gt"] for image in event["images"]] == ["hr/chelsea.png", "hr/coffee.png"]
    assert event["images"][1]["kind"] == "shifted by (0, 2) px"


def test_clean_images_are_recorded_without_a_word():
    book = look([0, 3, DAMAGED])
    assert not book.warnings
    assert book.events == [{"event": "suspect_images", "iter": 700, "examined": 3, "images": []}]


def test_failure_is_told_and_ends_nothing(monkeypatch):
    monkeypatch.setattr(Bicubic, "forward", lambda *_: 1 / 0)
    book = look([0])
    assert book.warnings == ["Training images could not be examined: ZeroDivisionError: division by zero."]
    assert not book.events
