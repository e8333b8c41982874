import shutil

import pytest
from imagekit import numbers, png_raw, wide_profile, write_pairs, write_png

from traiNNer.data.files.scan import scan_set
from traiNNer.errors import DataError


def scan(root, scale=2, crop=None, max_megapixels=200.0):
    return scan_set("datasets.train", [root / "hr"], [root / "lr"], scale, crop, max_megapixels)


def refusal(root, **options):
    with pytest.raises(DataError) as caught:
        scan(root, **options).raise_if_broken()
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_valid_dataset_has_no_problems_and_every_header(tmp_path):
    write_pairs(tmp_path, 3)
    found = scan(tmp_path, crop=12)
    found.raise_if_broken()
    assert [pair.key for pair in found.pairs] == ["000", "001", "002"]
    assert len(found.headers) == 6
    assert found.problems == {}
    assert found.notices == []


def test_missing_partners_on_both_sides(tmp_path):
    write_pairs(tmp_path, 4)
    (tmp_path / "lr/001.png").unlink()
    (tmp_path / "hr/002.png").unlink()
    text = refusal(tmp_path)
    assert text.startswith("datasets.train: this set cannot be used\n")
    assert f"1 GT images without an LQ partner: {tmp_path}/hr/001.png" in text
    assert f"1 LQ images without a GT partner: {tmp_path}/lr/002.png" in text


def test_first_five_names_are_shown_and_the_others_counted(tmp_path):
    write_pairs(tmp_path, 12)
    for number in range(1, 12):
        (tmp_path / f"lr/{number:03}.png").unlink()
    text = refusal(tmp_path)
    assert "11 GT images without an LQ partner" in text
    assert [f"{n:03}.png" in text for n in range(1, 12)] == [True] * 5 + [False] * 6
    assert text.endswith("… and 6 more")


def test_two_files_for_one_name(tmp_path):
    write_pairs(tmp_path, 3)
    for number in range(3):
        (tmp_path / f"lr/{number:03}.png").rename(tmp_path / f"lr/{number:03}x2.png")
    shutil.copy(tmp_path / "lr/001x2.png", tmp_path / "lr/001.png")
    assert f"1 names that mean two files: {tmp_path}/lr/001.png and {tmp_path}/lr/001x2.png" in refusal(tmp_path)


def test_unreadable_files_are_named_with_the_cause(tmp_path):
    write_pairs(tmp_path, 6)
    data = (tmp_path / "lr/000.png").read_bytes()
    (tmp_path / "lr/000.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "lr/001.png").write_bytes(b"")
    (tmp_path / "hr/002.png").write_bytes(b"<html>404</html>")
    (tmp_path / "hr/003.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "hr/004.png").unlink()
    (tmp_path / "hr/004.png").mkdir()
    text = refusal(tmp_path)
    assert "5 unreadable images" in text
    for name, cause in (
        ("lr/000", "truncated PNG"),
        ("lr/001", "empty file"),
        ("hr/002", "a web page or other markup, not an image; download it again"),
        ("hr/003", "a Git LFS pointer, not the image; run `git lfs pull`"),
        ("hr/004", "is a directory"),
    ):
        assert f"{tmp_path}/{name}.png ({cause})" in text


def test_decompression_bomb_is_refused_unread(tmp_path):
    write_pairs(tmp_path, 2)
    (tmp_path / "hr/001.png").write_bytes(png_raw(60_000, 60_000, 8, 2, None))
    assert f"{tmp_path}/hr/001.png (is 60000x60000 (3,600 Mpx), limit 200 Mpx)" in refusal(tmp_path)


def test_different_ratio_is_reported_and_proposed(tmp_path):
    write_pairs(tmp_path, 7, size=(10, 12), scale=4)
    text = refusal(tmp_path)
    assert "7 pairs do not fit scale 2 (7 of them look like 4x: is `scale` right?)" in text
    assert f"{tmp_path}/hr/000.png 48x40 vs {tmp_path}/lr/000.png 12x10" in text


def test_pairs_of_one_size_look_like_1x(tmp_path):
    write_pairs(tmp_path, 3, scale=1)
    assert "3 pairs do not fit scale 2 (3 of them look like 1x: is `scale` right?)" in refusal(tmp_path)


def test_swapped_folders_are_recognized(tmp_path):
    write_pairs(tmp_path, 3)
    (tmp_path / "hr").rename(tmp_path / "x")
    (tmp_path / "lr").rename(tmp_path / "hr")
    (tmp_path / "x").rename(tmp_path / "lr")
    assert "in 3 of them LQ is the larger one: are dataroot_lq and dataroot_gt swapped?" in refusal(tmp_path)


def test_one_wrong_pair_proposes_no_scale(tmp_path):
    write_pairs(tmp_path, 3)
    write_png(tmp_path / "hr/001.png", numbers(26, 28, 3))
    assert "1 pairs do not fit scale 2: " in refusal(tmp_path)


@pytest.mark.parametrize(("height", "width"), [(23, 28), (24, 27), (26, 28), (24, 30)])
def test_every_side_counts(tmp_path, height, width):
    write_pairs(tmp_path, 2)
    write_png(tmp_path / "hr/001.png", numbers(height, width, 3))
    assert f"hr/001.png {width}x{height} vs" in refusal(tmp_path)


def test_excess_below_one_lq_pixel_is_cropped_with_a_notice(tmp_path):
    write_pairs(tmp_path, 3)
    write_png(tmp_path / "hr/001.png", numbers(25, 29, 3))
    found = scan(tmp_path)
    assert found.problems == {}
    assert found.notices == ["datasets.train: 1 GT images are up to 1 px larger than LQ x 2; cropped"]


def test_too_small_for_the_crop(tmp_path):
    write_pairs(tmp_path, 3, size=(12, 14))
    assert scan(tmp_path, crop=12).problems == {}
    text = refusal(tmp_path, crop=13)
    assert f"3 LQ images too small for lq_size 13: {tmp_path}/lr/000.png 14x12" in text


def test_all_kinds_of_problems_are_reported_together(tmp_path):
    write_pairs(tmp_path, 6)
    (tmp_path / "lr/000.png").unlink()
    (tmp_path / "lr/001.png").write_bytes(b"")
    write_png(tmp_path / "lr/002.png", numbers(4, 4, 3))
    assert len(refusal(tmp_path, crop=8).splitlines()) == 1 + 4


def test_kinds_of_images_are_noticed_once_per_set(tmp_path):
    write_pairs(tmp_path, 4)
    write_png(tmp_path / "lr/000.png", numbers(12, 14, 4))
    write_png(tmp_path / "hr/001.png", numbers(24, 28, 1))
    write_png(tmp_path / "hr/002.png", numbers(24, 28, 3, bits=16))
    assert scan(tmp_path).notices == [
        "datasets.train: 1 images have transparency, which is dropped",
        "datasets.train: 1 images are gray and become three equal channels",
        "datasets.train: 1 of 8 images have 16 bits; all precision is kept",
    ]


def test_turned_and_converted_images_are_noticed(tmp_path):
    from PIL import Image

    write_pairs(tmp_path, 3)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(numbers(12, 14, 3)).save(tmp_path / "lr/000.png", exif=exif)
    Image.fromarray(numbers(24, 28, 3)).save(tmp_path / "hr/000.png", exif=exif)
    Image.fromarray(numbers(24, 28, 3)).save(tmp_path / "hr/001.png", icc_profile=wide_profile())
    found = scan(tmp_path)
    assert found.problems == {}
    assert found.notices == [
        "datasets.train: 2 images are turned as their EXIF or TIFF orientation says",
        "datasets.train: 1 images are converted from their color profile to sRGB (wide 1)",
    ]


def test_animated_images_are_noticed(tmp_path):
    from PIL import Image

    frames = [Image.fromarray(numbers(12, 14, 3, seed=seed)) for seed in range(2)]
    (tmp_path / "lr").mkdir()
    frames[0].save(tmp_path / "lr/1.webp", save_all=True, append_images=frames[1:])
    found = scan_set("datasets.val", None, [tmp_path / "lr"], 2, None, 200)
    assert found.notices == ["datasets.val: 1 files hold several images; only the first of each is used"]


def test_several_roots_keep_their_keys_apart(tmp_path):
    for name in ("a", "b"):
        write_pairs(tmp_path / name, 2)
    roots = [tmp_path / "a", tmp_path / "b"]
    found = scan_set("t", [root / "hr" for root in roots], [root / "lr" for root in roots], 2, None, 200)
    assert [pair.key for pair in found.pairs] == ["0/000", "0/001", "1/000", "1/001"]
    assert found.pairs[2].lq == tmp_path / "b/lr/000.png"
    assert found.pairs[2].gt == tmp_path / "b/hr/000.png"


@pytest.mark.parametrize("empty", ["hr", "lr"])
def test_empty_folder_is_reported_on_either_side(tmp_path, empty):
    write_pairs(tmp_path, 2)
    shutil.rmtree(tmp_path / empty)
    (tmp_path / empty).mkdir()
    (tmp_path / empty / "notes.txt").write_text("x")
    assert f"datasets.train has no images in {tmp_path / empty}." in refusal(tmp_path)


def test_one_empty_root_of_several_is_named(tmp_path):
    write_pairs(tmp_path / "a", 2)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=rf"datasets.val has no images in {tmp_path}/b"):
        scan_set("datasets.val", None, [tmp_path / "a/lr", tmp_path / "b"], 2, None, 200)


def test_missing_folder_suggests_the_nearest_with_its_content(tmp_path):
    write_pairs(tmp_path, 1)
    for number in range(10):
        (tmp_path / f"set{number}").mkdir()
    (tmp_path / "lr").rename(tmp_path / "lowres")
    text = refusal(tmp_path)
    assert text == (
        f"datasets.train.dataroot_lq: no such folder {tmp_path}/lr. The nearest that exists is {tmp_path}, "
        "with the folders hr, lowres, set0, set1, set2, set3, set4, set5, …."
    )
    with pytest.raises(DataError, match="which has no folders in it"):
        scan_set("t", None, [tmp_path / "set0/x/y"], 2, None, 200)


def test_file_in_place_of_a_folder(tmp_path):
    write_pairs(tmp_path, 1)
    with pytest.raises(DataError, match="no such folder"):
        scan_set("t", None, [tmp_path / "lr/000.png"], 2, None, 200)


def test_unreadable_folder_is_a_data_error(tmp_path, monkeypatch):
    import os

    write_pairs(tmp_path, 1)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(tmp_path) == f"datasets.train: cannot read the folder {tmp_path}/lr (Permission denied)."


@pytest.mark.parametrize("side", ["hr", "lr"])
def test_two_files_of_one_name_are_reported_as_that(tmp_path, side):
    write_pairs(tmp_path, 3)
    (tmp_path / side / "001.webp").write_bytes((tmp_path / side / "001.png").read_bytes())
    told = refusal(tmp_path)
    assert (
        f"1 names that two files have (keep one of them): {tmp_path}/{side}/001.png and {tmp_path}/{side}/001.webp"
        in told
    )
    assert "without a" not in told
