import shutil
from collections import Counter

import pytest
from imagekit import numbers, png_bytes, wide_profile, write_pairs, write_png

from traiNNer.audit.survey import survey
from traiNNer.errors import DataError


def look(root, **options):
    return survey(root / "hr", root / "lr", **options)


def kinds(found):
    return Counter(finding.kind for finding in found.findings)


def test_valid_dataset_has_scale_headers_and_no_findings(tmp_path):
    write_pairs(tmp_path, 3, (40, 50), scale=3)
    found = look(tmp_path)
    assert [pair.key for pair in found.pairs] == ["000", "001", "002"]
    assert len(found.headers) == 6
    assert found.scales == {3: 3}
    assert found.scale == 3
    assert not found.is_swapped
    assert found.findings == ()


def test_hr_only_has_pairs_without_lq(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    found = survey(tmp_path / "hr")
    assert [(pair.lq, pair.gt) for pair in found.pairs] == [(None, tmp_path / f"hr/00{n}.png") for n in range(2)]
    assert found.scales == {}
    assert found.scale is None
    assert not found.is_swapped
    assert found.findings == ()


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, True), (2, True), (3, False), (-1, False)])
def test_gt_may_be_up_to_scale_minus_one_larger(tmp_path, extra, fits):
    write_pairs(tmp_path, 2, (40, 50), scale=3)
    write_png(tmp_path / "hr/000.png", numbers(120, 150 + extra, 3))
    found = look(tmp_path)
    assert found.scales == (Counter({3: 2}) if fits else Counter({3: 1, None: 1}))
    assert found.scale == (3 if fits else None)
    assert kinds(found) == ({} if fits else {"wrong_scale": 1})


def test_scales_are_counted_and_outliers_named(tmp_path):
    write_pairs(tmp_path, 5, (40, 50), scale=2)
    write_png(tmp_path / "hr/001.png", numbers(160, 200, 3))
    found = look(tmp_path)
    assert found.scales == {2: 4, 4: 1}
    assert found.scale is None
    (finding,) = found.findings
    assert (finding.kind, finding.name) == ("wrong_scale", "001")
    assert finding.detail == "200x160 vs 50x40: 4x, most are 2x"
    assert finding.files == (tmp_path / "hr/001.png", tmp_path / "lr/001.png")


def test_rounded_up_lr_is_explained(tmp_path):
    write_pairs(tmp_path, 2, (41, 50))
    write_png(tmp_path / "hr/000.png", numbers(81, 100, 3))
    (finding,) = look(tmp_path).findings
    assert "LR rounded up: crop HR to a multiple of 2 first" in finding.detail


def test_swapped_folders_are_one_finding(tmp_path):
    write_pairs(tmp_path, 3, (40, 50))
    found = survey(tmp_path / "lr", tmp_path / "hr")
    assert found.is_swapped
    (finding,) = found.findings
    assert finding.kind == "swapped_folders"
    assert finding.detail == "in 3 of 3 pairs LR is the larger"


def test_partially_swapped_pairs_are_reported_per_pair(tmp_path):
    write_pairs(tmp_path, 4, (40, 50))
    for number in range(2):
        write_png(tmp_path / f"hr/00{number}.png", numbers(20, 25, 3))
    found = look(tmp_path)
    assert not found.is_swapped
    assert kinds(found) == {"wrong_scale": 2}


def test_unreadable_files_missing_partners_and_double_names(tmp_path):
    write_pairs(tmp_path, 6, (40, 50))
    for number in range(6):
        (tmp_path / f"lr/00{number}.png").rename(tmp_path / f"lr/00{number}x2.png")
    shutil.copy(tmp_path / "lr/003x2.png", tmp_path / "lr/003.png")
    (tmp_path / "hr/000.png").write_bytes(b"")
    (tmp_path / "lr/001x2.png").unlink()
    (tmp_path / "hr/002.png").unlink()
    found = look(tmp_path)
    assert kinds(found) == {"unreadable": 1, "no_partner": 2, "two_files": 1}
    named = {(finding.kind, finding.name, finding.detail) for finding in found.findings}
    assert ("unreadable", str(tmp_path / "hr/000.png"), "empty file") in named
    assert ("no_partner", str(tmp_path / "hr/001.png"), "no LR image") in named
    assert ("no_partner", str(tmp_path / "lr/002x2.png"), "no HR image") in named
    assert [pair.key for pair in found.pairs] == ["003", "004", "005"]


def test_dataset_without_matching_names_has_no_pairs(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    for number in range(2):
        (tmp_path / f"lr/00{number}.png").rename(tmp_path / f"lr/other{number}.png")
    found = look(tmp_path)
    assert found.pairs == ()
    assert kinds(found) == {"no_partner": 4}


def test_alpha_gray_bit_depth_and_animation_are_reported_per_file(tmp_path):
    write_pairs(tmp_path, 5, (40, 50))
    (tmp_path / "hr/000.png").write_bytes(png_bytes(numbers(80, 100, 4)))
    (tmp_path / "hr/001.png").write_bytes(png_bytes(numbers(80, 100, 1)))
    (tmp_path / "hr/002.png").write_bytes(png_bytes(numbers(80, 100, 3, bits=16)))
    found = {finding.kind: finding for finding in look(tmp_path).findings}
    assert {kind: finding.files for kind, finding in found.items()} == {
        "alpha": (tmp_path / "hr/000.png",),
        "gray": (tmp_path / "hr/001.png",),
        "bits": (tmp_path / "hr/002.png",),
    }
    assert found["bits"].detail == "16 bits"


def test_all_16_bit_dataset_is_not_mixed(tmp_path):
    write_pairs(tmp_path, 2, (40, 50), bits=16)
    assert look(tmp_path).findings == ()


def test_small_and_oddly_shaped_images(tmp_path):
    write_pairs(tmp_path, 4, (40, 50))
    write_pairs(tmp_path / "small", 1, (31, 40))
    write_pairs(tmp_path / "long", 1, (40, 161))
    for number, name in enumerate(("small", "long")):
        for part in ("hr", "lr"):
            shutil.move(tmp_path / name / part / "000.png", tmp_path / part / f"00{number}.png")
    named = [(finding.kind, finding.name, finding.detail) for finding in look(tmp_path).findings]
    assert named == [("small", "000", "LR 40x31"), ("aspect", "001", "161x40, 4.0 : 1")]


def test_single_image_and_all_small_images_are_dataset_findings(tmp_path):
    write_pairs(tmp_path / "one", 1, (40, 50))
    assert kinds(look(tmp_path / "one")) == {"one_image": 1}
    write_pairs(tmp_path / "small", 3, (12, 14))
    assert kinds(look(tmp_path / "small")) == {"all_small": 1, "small": 3}


def test_decompression_bomb_is_unreadable(tmp_path):
    write_pairs(tmp_path, 3, (40, 50))
    write_png(tmp_path / "hr/001.png", numbers(400, 500, 3))
    (finding,) = look(tmp_path, max_megapixels=0.1).findings
    assert finding.kind == "unreadable"
    assert "limit 0.1 Mpx" in finding.detail


def test_missing_and_an_empty_folder(tmp_path):
    write_pairs(tmp_path, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"The folder of the LR images: no such folder .*none. The nearest that exists"):
        survey(tmp_path / "hr", tmp_path / "none")
    for arguments in ((tmp_path / "empty", None), (tmp_path / "empty", tmp_path / "lr")):
        with pytest.raises(DataError, match=r"The set has no images in .*empty. Allowed: \.png"):
            survey(*arguments)


def test_turned_converted_and_passed_over_images_are_listed(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(numbers(80, 90, 3)).save(tmp_path / "1.png", exif=exif)
    Image.fromarray(numbers(80, 90, 3)).save(tmp_path / "2.png", icc_profile=wide_profile())
    (tmp_path / "3.gif").touch()
    found = {finding.kind: finding for finding in survey(tmp_path).findings}
    assert found["turned"].name == str(tmp_path / "1.png")
    assert found["profile"].detail == "wide"
    assert found["passed_over"].detail.startswith("1 images with endings that are not read are left out (gif 1)")
