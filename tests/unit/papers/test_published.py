import json
import math

import pytest

from traiNNer.papers.published import FILE, bicubic_of, published, set_name, similar


def test_every_row_has_a_source_and_plausible_numbers():
    content = json.loads(FILE.read_text(encoding="utf-8"))
    assert {row["source"] for row in content["rows"]} == content["sources"].keys()
    for row in published():
        assert row.source
        assert row.scores
        for score in row.scores.values():
            assert 20 < score[0] < 45
            assert all(0.5 < ssim < 1 for ssim in score[1:])


def test_no_network_stands_twice_at_a_scale():
    keys = [(row.network, row.scale) for row in published()]
    assert len(set(keys)) == len(keys)


def test_networks_are_better_than_bicubic():
    for row in published():
        for name, score in row.scores.items():
            if (bicubic := bicubic_of(name, row.scale)) and row.network != "bicubic":
                assert score[0] > bicubic[0]


@pytest.mark.parametrize(
    ("name", "found"), [("set5", "Set5"), ("BSD100", "B100"), ("urban100", "Urban100"), ("Mine", "Mine")]
)
def test_sets_are_known_by_several_names(name, found):
    assert set_name(name) == found


def test_bicubic_is_that_of_the_scale():
    assert list(bicubic_of("set5", 2) or ()) == [33.66, 0.9299]
    assert list(bicubic_of("Set5", 4) or ()) == [28.42, 0.8104]
    assert bicubic_of("Mine", 2) is None
    assert bicubic_of("Set5", 8) is None


def test_similar_networks_are_of_the_scale_the_set_and_the_size():
    found = similar(600_000, 2, ["Urban100"])
    assert "Compact" in [row.network for row in found]
    assert [row.parameters for row in found] == sorted(row.parameters for row in found)
    for row in found:
        assert row.scale == 2
        assert "Urban100" in row.scores
        assert abs(math.log(row.parameters / 600_000)) <= math.log(3)


def test_the_nearest_are_given_where_none_is_similar():
    assert len(similar(10**9, 2, ["Set5"])) == 4
    assert similar(1000, 2, ["Mine"]) == []
