"""The folders of a dataset: paired in order, and missing ones are reported with the existing ones."""

import os
from pathlib import Path

import pytest
from imagekit import write_pairs

from traiNNer.data.files.folders import find_gt, find_pairs, images_below, pair_or_refuse, require_folder
from traiNNer.errors import DataError


def refused(call) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_every_lq_folder_is_paired_with_the_gt_folder_at_its_place(tmp_path):
    for name, count in (("a", 2), ("b", 3)):
        write_pairs(tmp_path / name, count)
    gt, lq = ([tmp_path / name / part for name in "ab"] for part in ("hr", "lr"))
    found = find_pairs("set", gt, lq, None)
    assert [len(pairing.pairs) for pairing in found] == [2, 3]
    assert found[1].pairs[0].gt == tmp_path / "b/hr/000.png"
    assert found[1].pairs[0].lq == tmp_path / "b/lr/000.png"


def test_small_images_without_gt_folders(tmp_path):
    write_pairs(tmp_path, 2)
    (pairing,) = find_pairs("set", None, [tmp_path / "lr"], None)
    assert [(pair.lq, pair.gt) for pair in pairing.pairs] == [(tmp_path / f"lr/00{n}.png", None) for n in range(2)]


def test_gt_only_is_found_in_every_folder(tmp_path):
    write_pairs(tmp_path, 2)
    found = find_gt("set", [tmp_path / "hr", tmp_path / "lr"], None)
    assert [[pair.gt for pair in pairing.pairs] for pairing in found] == [
        [tmp_path / f"{part}/00{n}.png" for n in range(2)] for part in ("hr", "lr")
    ]
    assert all(pair.lq is None for pairing in found for pair in pairing.pairs)


def test_only_the_names_of_a_list_count(tmp_path):
    write_pairs(tmp_path, 3)
    (pairing,) = find_pairs("set", [tmp_path / "hr"], [tmp_path / "lr"], {"001.png"})
    assert [pair.key for pair in pairing.pairs] == ["001"]
    (alone,) = find_gt("set", [tmp_path / "hr"], {"002.png"})
    assert [pair.key for pair in alone.pairs] == ["002"]
    assert find_gt("set", [tmp_path / "hr"], set())[0].pairs == []


@pytest.mark.parametrize("part", ["hr", "lr"])
def test_folder_without_images_is_named(tmp_path, part):
    write_pairs(tmp_path, 2)
    (tmp_path / "empty").mkdir()
    roots = {"hr": tmp_path / "hr", "lr": tmp_path / "lr"} | {part: tmp_path / "empty"}
    words = f"set has no images in {tmp_path / 'empty'}. Allowed: .png"
    assert refused(lambda: pair_or_refuse("set", roots["hr"], roots["lr"])).startswith(words)
    assert refused(lambda: find_gt("set", [tmp_path / "empty"], None)).startswith(words)
    assert refused(lambda: images_below("set", tmp_path / "empty")).startswith(words)


def test_images_that_are_not_read_are_counted_where_there_are_no_others(tmp_path):
    for name in ("a.gif", "b.gif", "@eaDir/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert refused(lambda: find_gt("set", [tmp_path], None)).startswith(
        f"set has no images in {tmp_path}. 2 images with endings that are not read are left out (gif 2); convert them "
        "to PNG. 1 images in folders that a NAS or macOS made are left out (@eaDir 1). Allowed: .png"
    )


@pytest.mark.parametrize(("part", "option"), [("hr", "dataroot_gt"), ("lr", "dataroot_lq")])
def test_missing_folder_is_reported_with_its_option(tmp_path, part, option):
    write_pairs(tmp_path, 1)
    roots = {"hr": tmp_path / "hr", "lr": tmp_path / "lr"} | {part: tmp_path / "none"}
    message = refused(lambda: find_pairs("datasets.val", [roots["hr"]], [roots["lr"]], None))
    assert message.startswith(f"datasets.val.{option}: no such folder {tmp_path / 'none'}.")
    assert message.endswith("with the folders hr, lr.")


def test_first_folders_in_natural_order_are_shown(tmp_path):
    for number in range(1, 11):
        (tmp_path / f"part{number}").mkdir()
    message = refused(lambda: require_folder("set", tmp_path / "none/deeper"))
    shown = ", ".join(f"part{number}" for number in range(1, 9))
    assert message.endswith(f"The nearest that exists is {tmp_path}, with the folders {shown}, ….")
    assert refused(lambda: require_folder("set", tmp_path / "part1/x")).endswith("which has no folders in it.")
    require_folder("set", tmp_path)


def test_unreadable_folder_is_reported(tmp_path, monkeypatch):
    write_pairs(tmp_path, 1)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    for call in (lambda: pair_or_refuse("set", None, tmp_path / "lr"), lambda: find_gt("set", [tmp_path / "lr"], None)):
        assert refused(call) == f"set: cannot read the folder {Path(tmp_path / 'lr')} (Permission denied)."
