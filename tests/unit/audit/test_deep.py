import re
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from imagekit import jpeg, moved, photo, write_png

from traiNNer.audit.deep import estimate_seconds, look_deep
from traiNNer.audit.kernels import BICUBIC
from traiNNer.audit.survey import survey
from traiNNer.utils.resize import imresize

PARTS = [
    (name, top, left)
    for name in ("astronaut.png", "coffee.png", "motorcycle_left.png")
    for top, left in ((0, 0), (20, 200), (140, 60))
]


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """Write nine clean pairs, 00 to 08, once."""
    folder = tmp_path_factory.mktemp("nine")
    for number in range(len(PARTS)):
        put(folder, number, clean(number))
    return folder


@pytest.fixture
def root(nine, tmp_path):
    """Copy the nine clean pairs."""
    return Path(shutil.copytree(nine, tmp_path, dirs_exist_ok=True))


def put(root, number, gt=None, lq=None):
    """Write a pair; LR is made of HR unless it is given."""
    name = f"{number:02}.png"
    if gt is not None:
        write_png(root / "hr" / name, gt)
    if lq is None:
        lq = imresize(gt, 0.5)
    write_png(root / "lr" / name, lq)


def clean(number):
    name, top, left = PARTS[number]
    return photo(name, (240, 240), top, left)


def look(root, **others):
    return look_deep(survey(root / "hr", root / "lr"), **others)


def found(root, **others):
    return {(finding.kind, finding.name): finding.detail for finding in look(root, **others).findings}


def test_clean_dataset_has_no_findings_and_one_kernel(root):
    deep = look(root)
    assert deep.findings == ()
    assert deep.kernels == {BICUBIC: 9}
    assert deep.seconds > 0


def test_every_planted_fault_is_found_and_nothing_else(root):
    put(root, 0, lq=imresize(moved(clean(0), 0.5, 0), 0.5))
    put(root, 1, lq=moved(imresize(clean(1), 0.5), 0, -0.5))
    put(root, 2, lq=imresize(moved(clean(2), -2, 2), 0.5))
    put(root, 3, lq=cv2.resize(clean(3), (120, 120), interpolation=cv2.INTER_AREA))
    put(root, 4, jpeg(clean(4), 60))
    put(root, 5, lq=np.clip(imresize(clean(5), 0.5) + np.array([6, 0, 0]), 0, 255).astype(np.uint8))
    put(root, 9, clean(6))
    put(root, 10, jpeg(clean(7), 90))
    put(root, 11, np.zeros((240, 240, 3), np.uint8))
    put(root, 12, cv2.resize(imresize(photo("chelsea.png", (240, 240)), 0.5), (240, 240)))
    findings = found(root)
    assert set(findings) == {
        ("misaligned", "00"),
        ("misaligned", "01"),
        ("misaligned", "02"),
        ("kernel", "03"),
        ("jpeg", "04"),
        ("color", "05"),
        ("exact", "09"),
        ("near", "10"),
        ("flat", "11"),
        ("soft", "12"),
    }
    assert re.fullmatch(r"LR lies 0.(4[7-9]|5[0-3]) lower, in HR pixels", findings["misaligned", "00"])
    assert re.fullmatch(r"LR lies (0.9[5-9]|1.0[0-5]) further left, in HR pixels", findings["misaligned", "01"])
    assert re.fullmatch(r"LR lies (1.9|2.0)\d higher and (1.9|2.0)\d further right, .*", findings["misaligned", "02"])
    assert findings["kernel", "03"].startswith("box (error 0.3 of 255)")
    assert re.fullmatch(r"quality about (5[7-9]|6[0-3])", findings["jpeg", "04"])
    assert findings["color", "05"] == "LR minus HR: +6.0, +0.0, +0.0 of 255; contrast +0 %"
    assert findings["exact", "09"] == "of 06"
    assert findings["near", "10"].startswith("of 07, correlation ")
    assert findings["flat", "11"] == "black, deviation 0.0 of 255"


def test_swapped_lr_images_are_found(root):
    put(root, 0, lq=imresize(clean(3), 0.5))
    put(root, 3, lq=imresize(clean(0), 0.5))
    assert set(found(root)) == {("wrong_pair", "00"), ("wrong_pair", "03")}


def test_nearest_is_a_kernel_and_a_shift(root):
    put(root, 0, lq=cv2.resize(clean(0), (120, 120), interpolation=cv2.INTER_NEAREST))
    assert set(found(root)) == {("misaligned", "00"), ("kernel", "00")}


def test_noisy_jpeg_lr_has_an_unknown_kernel_and_no_wrong_pairs(root):
    rng = np.random.default_rng(0)
    for number in range(9):
        lq = imresize(clean(number), 0.5) + rng.normal(0, 20, (120, 120, 3))
        put(root, number, lq=jpeg(np.clip(lq, 0, 255).astype(np.uint8), 60))
    deep = look(root)
    assert not [finding for finding in deep.findings if finding.kind in ("wrong_pair", "misaligned", "kernel")]
    assert set(deep.kernels) == {"unknown"}


def test_hr_only_is_inspected(root):
    put(root, 4, jpeg(clean(4), 60))
    findings = look_deep(survey(root / "hr")).findings
    assert [(finding.kind, finding.name) for finding in findings] == [("jpeg", "04")]


def test_16_bits_give_the_same_verdicts(root):
    for number in range(9):
        put(root, number, clean(number).astype(np.uint16) * 257)
    deep = look(root)
    assert deep.findings == ()
    assert deep.kernels == {BICUBIC: 9}


def test_test_images_are_found_in_the_dataset_at_any_size_or_encoding(root, tmp_path):
    test = tmp_path / "test"
    images = [test / "deep/a.png", test / "b.png", test / "c.png"]
    write_png(images[0], clean(1))
    write_png(images[1], imresize(jpeg(clean(4), 90), 0.5))
    write_png(images[2], photo("chelsea.png"))
    ticks = []
    findings = found(root, others={test: images}, tick=lambda: ticks.append(1))
    assert len(ticks) == 9 + 3
    assert set(findings) == {("overlap", "01"), ("overlap", "04")}
    assert findings["overlap", "01"] == f"equal to deep/a.png in {test}"
    assert findings["overlap", "04"].endswith(f"with b.png in {test}")


def test_damage_found_by_decoding_is_unreadable(root):
    path = root / "hr/02.png"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    (finding,) = look(root).findings
    assert (finding.kind, finding.name) == ("unreadable", str(path))


def test_pairs_of_any_size_do_not_fail(tmp_path):
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(1, 1), (1, 300), (7, 9), (33, 15), (900, 40), (801, 602)]):
        lq = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        put(tmp_path, number, lq.repeat(2, axis=0).repeat(2, axis=1), lq)
    put(tmp_path, 7, rng.integers(0, 256, (50, 60, 3), dtype=np.uint8), rng.integers(0, 256, (21, 60, 3), np.uint8))
    assert not [finding for finding in look(tmp_path).findings if finding.kind in ("misaligned", "wrong_pair")]


def test_large_images_are_compared_at_the_same_center(tmp_path):
    for number in range(2):
        tile = photo("coffee.png", (256, 256), 40 * number, 60)
        gt = np.tile(np.concatenate([tile, tile[::-1]]), (2, 4, 1))[: 1024 - 20 * number, :1000]
        put(tmp_path, number, gt, imresize(np.roll(gt, 1, axis=0), 0.5))
    findings = Counter(finding.detail for finding in look(tmp_path).findings if finding.kind == "misaligned")
    assert findings == {"LR lies 1.00 lower, in HR pixels": 2}


def test_estimate_grows_with_the_dataset_and_is_zero_when_empty(root, tmp_path):
    whole = survey(root / "hr", root / "lr")
    others = [root / "hr/00.png"] * 991
    assert estimate_seconds(whole, others) > estimate_seconds(whole) > 0
    for path in (root / "lr").iterdir():
        path.write_bytes(b"")
    assert estimate_seconds(survey(root / "hr", root / "lr")) == 0
