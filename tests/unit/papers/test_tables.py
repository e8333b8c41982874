import json

import pytest

from traiNNer.papers.cost import Cost
from traiNNer.papers.scores import SetScores
from traiNNer.papers.tables import Result, as_json, bicubic_notes, sheets
from traiNNer.report.formats import latex, markdown

COST = Cost(600_652, 137.9e9, 1234.5, 150 * 2**20, "CPU")


def result(name="Set5", as_published=(33.66, 0.9299), cost=COST, gray=0, scale=2):
    scores = {"psnr_y": 37.123, "ssim_y": 0.95678, "psnr_rgb": 35.0, "ssim_rgb": 0.94}
    bicubic = {key: value - 0.01 for key, value in scores.items()}
    one = SetScores(name, 5, scores, bicubic, as_published, gray, 36.9 if gray else None)
    return Result("x.safetensors", "compact", scale, [one], cost, ["lpips is not measured: no weights"])


def table(title, **changes):
    return next(sheet for sheet in sheets(result(**changes)) if sheet.title.startswith(title))


def test_bicubic_stands_against_what_was_published():
    assert table("Bicubic").rows == [["Set5", "5", "33.66/0.9299", "33.66/0.9299", "+0.00"]]
    assert table("Bicubic", name="Mine").rows[0][3:] == ["–", "–"]


def test_images_of_another_source_are_found_by_bicubic():
    assert list(bicubic_notes(result())) == []
    assert list(bicubic_notes(result(name="Mine"))) == []
    (note,) = bicubic_notes(result(as_published=(33.9, 0.93)))
    assert note == (
        "Set5: bicubic upscaling has 33.90 dB, published are 33.66: these are not the images of the papers, so the "
        "scores below cannot be compared with theirs"
    )


def test_scores_of_the_network_follow_those_of_bicubic():
    found = table("Scores", gray=1)
    assert found.head == ["set", "network", "PSNR y", "SSIM y", "PSNR RGB", "SSIM RGB"]
    assert [row[1] for row in found.rows] == [
        "bicubic",
        "x.safetensors",
        "x.safetensors, 1 gray image by their own levels",
    ]
    assert found.rows[1][2:] == ["37.12", "0.9568", "35.00", "0.9400"]
    assert found.rows[2][2:] == ["36.90", "–", "–", "–"]


def test_cost_is_in_the_units_of_papers():
    assert table("Cost").rows == [["x.safetensors", "600,652", "137.9 G", "1,234.5", "150 MiB", "CPU"]]
    unknown = Cost(1000, None, 1.0, None, "CPU")
    assert table("Cost", cost=unknown).rows[0][1:5] == ["1,000", "–", "1.0", "–"]


def test_published_networks_have_numbered_sources():
    found = table("Beside")
    assert found.rows[0] == ["x.safetensors (compact)", "600,652", "137.9 G", "37.12/0.9568", "–", "here"]
    names = [row[0] for row in found.rows]
    assert "IMDN" in names
    assert "Compact" not in names  # published on Urban100 alone
    numbers = {row[-1] for row in found.rows[1:]}
    assert all(f"{number} " in found.note for number in numbers)
    assert "IMDN" in [row[0] for row in table("Beside", scale=4).rows]


def test_set_that_nobody_published_has_no_neighbors():
    found = table("Beside", name="Mine")
    assert len(found.rows) == 1
    assert found.note == "Nothing is known of other networks at this scale on these sets."


@pytest.mark.parametrize("write", [markdown, latex])
def test_tables_can_be_written(write):
    assert "37.12" in write(sheets(result()))


def test_json_has_everything():
    found = json.loads(json.dumps(as_json(result())))
    assert found["sets"][0]["network"]["psnr_y"] == 37.123
    assert found["cost"]["parameters"] == 600_652
    assert found["missing"] == ["lpips is not measured: no weights"]
    assert found["published"][0]["source"]
