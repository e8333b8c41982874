import os
from pathlib import Path

import pytest
from imagekit import numbers, write_pairs, write_png

from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.data.datasets.single_gt import SingleGTDataset
from traiNNer.data.files.meta_info import read_meta_info
from traiNNer.data.files.options import FileOptions
from traiNNer.errors import DataError


def write(folder: Path, text: str) -> str:
    path = folder / "list.txt"
    path.write_bytes(text.encode())
    return str(path)


def names(folder: Path, text: str) -> tuple[str, ...]:
    return read_meta_info("m", Path(write(folder, text))).names


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("a.png", "a.png"),
        ("  a.png  ", "a.png"),
        ("0001_s001.png (480,480,3)", "0001_s001.png"),
        ("0001.PNG (480,480,3) 1", "0001.PNG"),
        ("sub/deep/a.jpg", "sub/deep/a.jpg"),
        ("./sub//a.png", "sub/a.png"),
        ("photo (1).png", "photo (1).png"),
        ("photo (1).png (480,480,3)", "photo (1).png"),
        ("my photo.png", "my photo.png"),
        ("cafe\u0301.png", "caf\u00e9.png"),
        ("..a.png", "..a.png"),
        ("sub\\deep\\a.png", "sub/deep/a.png"),
        ("sub\\0001.png (480,480,3)", "sub/0001.png"),
    ],
)
def test_one_line(tmp_path, line, name):
    assert names(tmp_path, line) == (name,)


def test_blank_lines_comments_repetitions_and_line_ends(tmp_path):
    assert names(tmp_path, "\ufeffb.png\r\n\r\n# a.png\r\n  # c\r\na.png\r\nb.png (1,1,3)") == ("b.png", "a.png")


@pytest.mark.parametrize(
    "line",
    ["../a.png", "a/../../b.png", "/etc/a.png", "C:/a.png", "\\\\server\\a.png", "C:\\a.png", "a\\..\\..\\b.png"],
)
def test_escaping_paths_are_refused_with_their_line(tmp_path, line):
    found = read_meta_info("m", Path(write(tmp_path, f"a.png\n{line}\n")))
    assert found.names == ("a.png",)
    assert found.refused == (f"{tmp_path}/list.txt line 2: {line}",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"m: .*list\.txt names no image\. Write one path below dataroot_gt per line"),
        (b"# a.png\n\n", "names no image"),
        (b"\xff\xfe\x00", r"is not a text file in UTF-8 or UTF-16\."),
        (b"\x00\xd8\xfe.png", "is not a text file"),
        (None, r"m: no such file .*list\.txt\. The nearest folder that exists is "),
    ],
)
def test_unusable_lists(tmp_path, content, message):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_meta_info("m", path)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_encodings_of_windows(tmp_path, coding):
    path = tmp_path / "list.txt"
    mark = "\ufeff" if coding == "utf-16-be" else ""
    path.write_bytes(f"{mark}a.png\r\nb\u00e4r.png\r\n".encode(coding))
    assert read_meta_info("m", path).names == ("a.png", "b\u00e4r.png")


def test_list_with_backslashes_finds_its_images(tmp_path):
    write_png(tmp_path / "gt/deep/000.png", numbers(24, 28, 3))
    files = FileOptions(meta_info=write(tmp_path, "deep\\000.png\n"))
    assert keys(SingleGTDataset(2, str(tmp_path / "gt"), files=files)) == ["deep/000"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"m: cannot read .*list\.txt \(not a regular file\)"):
        read_meta_info("m", tmp_path / "list.txt")


def test_folder_is_not_a_list(tmp_path):
    with pytest.raises(DataError, match=r"m: cannot read .* \(.*directory"):
        read_meta_info("m", tmp_path)


def keys(dataset) -> list[str]:
    assert dataset.open("val", "v") == []
    return [dataset.whole(index).key for index in range(len(dataset))]


def paired(root: Path, text: str, **options) -> PairedImageDataset:
    return PairedImageDataset(
        2, str(root / "lr"), str(root / "hr"), files=FileOptions(meta_info=write(root, text), **options)
    )


def single(root: Path, text: str, **options) -> SingleGTDataset:
    return SingleGTDataset(2, str(root / "hr"), files=FileOptions(meta_info=write(root, text), **options))


@pytest.mark.parametrize("build", [paired, single])
def test_only_listed_images_are_used(tmp_path, build):
    write_pairs(tmp_path, 5)
    assert keys(build(tmp_path, "003.png (24,28,3)\n001.png\n")) == ["001", "003"]


def test_unlisted_images_are_ignored(tmp_path):
    write_pairs(tmp_path, 4)
    (tmp_path / "lr/001.png").unlink()
    (tmp_path / "hr/002.png").unlink()
    write_png(tmp_path / "hr/bad.png", numbers(3, 3, 3))
    (tmp_path / "lr/bad.png").write_bytes(b"")
    assert keys(paired(tmp_path, "000.png\n003.png")) == ["000", "003"]
    (tmp_path / "hr/bad.png").write_bytes(b"")
    assert keys(single(tmp_path, "000.png\n003.png")) == ["000", "003"]


def test_listed_image_needs_its_partner(tmp_path):
    write_pairs(tmp_path, 4)
    (tmp_path / "lr/001.png").unlink()
    with pytest.raises(DataError, match=rf"1 GT images without an LQ partner: {tmp_path}/hr/001\.png$"):
        paired(tmp_path, "000.png\n001.png").open("val", "v")


def test_partners_with_suffixes_are_found(tmp_path):
    for number in range(4):
        write_png(tmp_path / f"hr/{number}_HR.png", numbers(24, 28, 3))
        write_png(tmp_path / f"lr/{number}_LRx2.png", numbers(12, 14, 3))
    assert keys(paired(tmp_path, "2_HR.png")) == ["2"]


@pytest.mark.parametrize("build", [paired, single])
def test_missing_and_refused_names_are_counted_and_shown(tmp_path, build):
    write_pairs(tmp_path, 3)
    text = "\n".join(["000.png", *(f"x{number}.png" for number in range(7)), "../hr/001.png"])
    with pytest.raises(DataError) as caught:
        build(tmp_path, text).open("val", "v")
    rows = str(caught.value).splitlines()
    assert rows[0] == "v: this set cannot be used"
    assert (
        rows[1] == f"      1 names in meta_info that lead out of dataroot_gt: {tmp_path}/list.txt line 9: ../hr/001.png"
    )
    shown = "; ".join(f"x{number}.png" for number in range(5))
    assert rows[2] == f"      7 names in meta_info that no image in dataroot_gt has: {shown} … and 2 more"


def test_name_is_resolved_in_every_root(tmp_path):
    for name in "ab":
        write_pairs(tmp_path / name, 3)
    write_png(tmp_path / "b/hr/new.png", numbers(24, 28, 3))
    roots = [str(tmp_path / name / "hr") for name in "ab"]
    dataset = SingleGTDataset(2, tuple(roots), files=FileOptions(meta_info=write(tmp_path, "001.png\nnew.png")))
    assert keys(dataset) == ["0/001", "1/001", "1/new"]
    dataset = SingleGTDataset(2, tuple(roots), files=FileOptions(meta_info=write(tmp_path, "new.png")))
    assert keys(dataset) == ["1/new"]


def test_images_in_sub_folders(tmp_path):
    for folder in ("a", "b"):
        write_png(tmp_path / f"hr/{folder}/1.png", numbers(24, 28, 3))
    assert keys(single(tmp_path, "b/1.png")) == ["b/1"]


def test_list_is_split(tmp_path):
    write_pairs(tmp_path, 12)
    text = "\n".join(f"{number:03}.png" for number in range(8))
    parts = [keys(single(tmp_path, text, split=split)) for split in ("train", "val")]
    assert [len(part) for part in parts] == [6, 2]
    assert sorted(parts[0] + parts[1]) == [f"{number:03}" for number in range(8)]


def test_list_without_ground_truth_is_refused(tmp_path):
    write_pairs(tmp_path, 2)
    dataset = PairedImageDataset(2, str(tmp_path / "lr"), files=FileOptions(meta_info=write(tmp_path, "000.png")))
    with pytest.raises(DataError, match="v: meta_info lists images of dataroot_gt, which is left out"):
        dataset.open("val", "v")
