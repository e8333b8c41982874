import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traiNNer.data.files.listing import list_images
from traiNNer.data.files.pairing import infer_suffixes, pair_folders
from traiNNer.utils.files import natural_key


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def pairs(root: Path) -> list[tuple[str, str, str]]:
    found = pair_folders(root / "hr", root / "lr").pairs
    return [
        (pair.key, pair.lq.relative_to(root / "lr").as_posix(), pair.gt.relative_to(root / "hr").as_posix())
        for pair in found
        if pair.gt
    ]


def test_same_names_pair_with_any_extension(tmp_path):
    touch(tmp_path / "hr", "b.png", "a.JPG")
    touch(tmp_path / "lr", "a.webp", "b.tif", "notes.txt", ".hidden.png")
    assert pairs(tmp_path) == [("a", "a.webp", "a.JPG"), ("b", "b.tif", "b.png")]


@pytest.mark.parametrize("gt_suffix", ["", "_HR", "-gt", "x8"])
@pytest.mark.parametrize("lq_suffix", ["x2", "_x2", "-lr", "_LR", "x4d", "_LRBI", "LRBIx2", " bicubic", ".lq"])
@pytest.mark.parametrize("folder", ["", "cats/gray/"])
def test_suffixes_are_inferred(tmp_path, gt_suffix, lq_suffix, folder):
    names = ["0001", "0002", "img_001_SRF_2", "baby", "x2"]
    touch(tmp_path / "hr", *(f"{folder}{name}{gt_suffix}.png" for name in names))
    touch(tmp_path / "lr", *(f"{folder}{name}{lq_suffix}.png" for name in names))
    pairing = pair_folders(tmp_path / "hr", tmp_path / "lr")
    assert [pair.key for pair in pairing.pairs] == sorted((folder + name for name in names), key=natural_key)
    for pair in pairing.pairs:
        name = pair.key.rsplit("/", 1)[-1]
        assert pair.gt
        assert (pair.lq.stem, pair.gt.stem) == (name + lq_suffix, name + gt_suffix)
    assert [pairing.without_gt, pairing.without_lq, pairing.ambiguous] == [[], [], []]


def test_suffix_is_not_inferred_for_equal_names():
    assert infer_suffixes(["1x2", "2x2", "3x2"], ["1x2", "2x2", "3x2"]) == ("", "")
    assert infer_suffixes(["1", "2", "3", "3x2"], ["1", "2", "3x2"]) == ("", "")
    assert infer_suffixes(["cat", "dog"], ["0001x2", "0002x2"]) == ("", "")


def test_sub_folders_belong_to_the_name(tmp_path):
    touch(tmp_path / "hr", "a/1.png", "b/1.png")
    touch(tmp_path / "lr", "a/1.png", "c/1.png")
    pairing = pair_folders(tmp_path / "hr", tmp_path / "lr")
    assert [pair.key for pair in pairing.pairs] == ["a/1"]
    assert pairing.without_lq == [tmp_path / "hr/b/1.png"]
    assert pairing.without_gt == [tmp_path / "lr/c/1.png"]


def test_same_stem_with_two_extensions_is_two_images(tmp_path):
    for side in ("hr", "lr"):
        touch(tmp_path / side, "a.png", "a.jpg", "b.png")
    assert [key for key, *_ in pairs(tmp_path)] == ["a.jpg", "a.png", "b"]


def test_no_file_is_lost_when_a_stem_looks_like_another_name(tmp_path):
    root = touch(tmp_path, "a.png", "a.bmp", "a.png.jpg", "a.png.jpg.webp")
    assert sorted(list_images(root).files.values()) == sorted(root.iterdir())


def test_both_names_of_a_base_are_reported(tmp_path):
    touch(tmp_path / "hr", "1.png", "2.png", "3.png")
    touch(tmp_path / "lr", "1x2.png", "2x2.png", "3x2.png", "1.png")
    pairing = pair_folders(tmp_path / "hr", tmp_path / "lr")
    assert len(pairing.pairs) == 3
    assert [set(files) for files in pairing.ambiguous] == [{tmp_path / "lr/1.png", tmp_path / "lr/1x2.png"}]


def test_order_is_natural_and_does_not_depend_on_the_disk(tmp_path, monkeypatch):
    names = ["10.png", "9.png", "a1.png", "A1.png", "a01.png", "b/2.png", "b/10.png"]
    keys = list(list_images(touch(tmp_path, *names)).files)
    assert keys == ["9", "10", "A1", "a01", "a1", "b/2", "b/10"]
    real = os.walk

    def reversed_walk(*arguments, **options):
        for folder, folders, files in real(*arguments, **options):
            yield folder, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", reversed_walk)
    assert list(list_images(tmp_path).files) == keys


def test_links_to_folders_are_followed_and_loops_end(tmp_path):
    touch(tmp_path / "elsewhere", "1.png")
    touch(tmp_path / "root", "2.png")
    (tmp_path / "root/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/loop").symlink_to(tmp_path / "root")
    assert list(list_images(tmp_path / "root").files) == ["2", "link/1"]


def test_hidden_folders_are_skipped_but_not_image_like_names(tmp_path):
    touch(tmp_path, ".ipynb_checkpoints/1-checkpoint.png", "1.png", "folder.png/2.png")
    assert list(list_images(tmp_path).files) == ["1", "folder", "folder.png/2"]


def test_accents_of_macos_are_the_same_name(tmp_path):
    touch(tmp_path / "hr", unicodedata.normalize("NFC", "café.png"))
    touch(tmp_path / "lr", unicodedata.normalize("NFD", "café.png"))
    assert [key for key, *_ in pairs(tmp_path)] == [unicodedata.normalize("NFC", "café")]


@pytest.mark.parametrize("root", ["with space", "中文", "🐘", "50%", 'it\'s "q"', "x" * 250])
def test_any_root_works(tmp_path, root):
    touch(tmp_path / root / "hr", "1.png")
    touch(tmp_path / root / "lr", "1x2.png")
    assert [key for key, *_ in pairs(tmp_path / root)] == ["1"]


def test_without_ground_truth_every_file_is_an_image(tmp_path):
    touch(tmp_path, "2.png", "1x2.png")
    found = pair_folders(None, tmp_path).pairs
    assert [(pair.key, pair.gt) for pair in found] == [("1x2", None), ("2", None)]


def test_unreadable_folder_is_an_error_not_an_empty_one(tmp_path, monkeypatch):
    real = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    touch(tmp_path, "1.png", "closed/2.png")
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        list_images(tmp_path)


STEMS = st.lists(
    st.text(st.sampled_from("aBx012 _-.é"), min_size=1, max_size=6).filter(lambda text: text.strip(". ")),
    min_size=1,
    max_size=8,
    unique_by=str.lower,
)


@given(
    stems=STEMS, suffix=st.sampled_from(["", "x2", "_x4", "-lr", "_LRBI"]), folder=st.sampled_from(["", "s/", "s/t/"])
)
@settings(max_examples=200, deadline=None)
def test_suffix_never_pairs_wrong_names(stems, suffix, folder):
    gt = [folder + stem for stem in stems]
    lq = [key + suffix for key in gt]
    found_gt, found_lq = infer_suffixes(gt, lq)
    bases_gt = {key.removesuffix(found_gt): key for key in gt if key.endswith(found_gt)}
    bases_lq = {key.removesuffix(found_lq): key for key in lq if key.endswith(found_lq)}
    paired = {(bases_gt[base], bases_lq[base]) for base in bases_gt.keys() & bases_lq.keys()}
    right = set(zip(gt, lq, strict=True))
    # Names that end like a suffix are ambiguous; without such names all pair correctly.
    if not any(stem.lower().rstrip("0123456789").endswith(("x", "lr", "b")) for stem in stems):
        assert paired == right
    else:
        assert len(paired) >= len(set(gt) & set(lq))


@given(
    names=st.lists(st.sampled_from(["a", "a.png", "b", "c d", "é", "a.jpg"]), min_size=1, unique=True), data=st.data()
)
@settings(max_examples=40, deadline=None)
def test_every_file_is_in_exactly_one_split(tmp_path_factory, names, data):
    root = tmp_path_factory.mktemp("pairs")
    endings = st.lists(st.sampled_from([".png", ".jpg", ".webp"]), min_size=1, max_size=2, unique=True)
    for side in ("hr", "lr"):
        (root / side).mkdir()
        some = data.draw(st.lists(st.sampled_from(names), unique=True))
        touch(root / side, *(name + ending for name in some for ending in data.draw(endings)))
    pairing = pair_folders(root / "hr", root / "lr")
    assert not pairing.ambiguous
    used_gt = [pair.gt for pair in pairing.pairs] + pairing.without_lq
    used_lq = [pair.lq for pair in pairing.pairs] + pairing.without_gt
    twins = [path for group in pairing.twins for path in group]
    used_gt += [path for path in twins if path.parent.name == "hr"]
    used_lq += [path for path in twins if path.parent.name == "lr"]
    assert sorted(path for path in used_gt if path) == sorted((root / "hr").iterdir())
    assert sorted(path for path in used_lq if path) == sorted((root / "lr").iterdir())
    assert len({pair.key for pair in pairing.pairs}) == len(pairing.pairs)
