import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.data.files.split import group_of, held_out, held_out_count


def photos(count: int) -> list[str]:
    return [f"photo{number:05}" for number in range(count)]


@pytest.mark.parametrize(
    ("images", "expected"),
    [(2, 1), (3, 1), (7, 1), (8, 2), (31, 7), (32, 8), (400, 8), (899, 8), (900, 9), (3450, 34), (50_000, 100)],
)
def test_how_many_are_held_out(images, expected):
    assert held_out_count(images) == expected
    assert len(held_out(photos(images))) == expected


def test_choice_is_frozen():
    """A changed hash would train on images that older runs held out."""
    # As printed by `sha256sum`.
    assert held_out(photos(40)) == {f"photo000{number}" for number in ("06", "08", "10", "12", "21", "25", "32", "37")}


@given(st.lists(st.text(min_size=1), min_size=2, max_size=60, unique=True), st.randoms())
def test_order_is_ignored_and_something_is_left(names, rng):
    held = held_out(names)
    shuffled = names.copy()
    rng.shuffle(shuffled)
    assert held_out(shuffled) == held
    assert held < set(names)
    assert bool(held) == (len({group_of(name) for name in names}) > 1)


def test_non_unicode_names_are_hashed():
    names = [*photos(40), "caf\udce9"]
    assert held_out(names) == held_out(reversed(names))


def test_two_spellings_of_a_name_are_one():
    assert group_of("caf\u00e9_s001") == group_of("cafe\u0301_s002")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("0001_s001", "0001"),
        ("0001_s12", "0001"),
        ("a/b/0001_s001", "a/b/0001"),
        ("photo_crop3", "photo"),
        ("photo_tile_2_5", "photo"),
        ("photo_tile_2x5", "photo"),
        ("photo_tile_x0_y128", "photo"),
        ("photo-patch-07", "photo"),
        ("my photo part 2", "my photo"),
        ("IMG_20200101_123456_sub4", "IMG_20200101_123456"),
        ("0001_s001_tile3", "0001"),
        ("0001_s001_HR", "0001"),
        ("PHOTO_Crop3", "PHOTO"),
        ("IMG_20200101_123456", "IMG_20200101_123456"),
        ("2020-01-01 12.34.56", "2020-01-01 12.34.56"),
        ("DSC_0001", "DSC_0001"),
        ("photos12", "photos12"),
        ("cats_3", "cats_3"),
        ("reptile3", "reptile3"),
        ("photo_s", "photo_s"),
        ("s001", "s001"),
        ("crop_3", "crop_3"),
        ("folder/tile_2_5", "folder/tile_2_5"),
        ("photo_s001_b", "photo_s001_b"),
    ],
)
def test_group_of_a_crop_name(name, group):
    assert group_of(name) == group


@pytest.mark.parametrize("form", ["{}_s{:03}", "{}_crop{}", "{}_tile_0_{}", "{}-patch-{:02}", "sub/{}_part{}"])
def test_crops_of_one_image_never_straddle_the_split(form):
    names = [form.format(f"{image:04}", crop) for image in range(60) for crop in range(1, 1 + image % 7)]
    random.Random(0).shuffle(names)
    held = held_out(names)
    assert 0 < len(held) <= held_out_count(len(names))
    assert not {group_of(name) for name in held} & {group_of(name) for name in set(names) - held}


def test_smallest_group_is_used_if_none_is_small_enough():
    names = [f"{image}_s{crop:03}" for image in range(20) for crop in range(40 + image)]
    assert held_out(names) == {f"0_s{crop:03}" for crop in range(40)}


@pytest.mark.parametrize("names", [[], ["a"], ["a", "a"], ["a_s1", "a_s2", "a"]])
def test_unsplittable_names(names):
    assert held_out(names) == set()


def test_name_in_two_folders_counts_twice():
    assert len(held_out(photos(20) * 2)) == 4  # 8 of 40 images
