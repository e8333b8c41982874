"""A recipe is YAML with the options of the degradations, in the order in which images suffer."""

import pytest
import yaml

from traiNNer.estimate.picture import Picture
from traiNNer.estimate.recipe import recipe_text, report_lines

DEGRADED = Picture(quality=80, is_exact=True, subsampling="420", noise=10, is_gray=False, blur=2.0, enlarged=2.0)


def test_recipe_does_in_order_what_was_found():
    pictures = [DEGRADED] * 3 + [Picture(quality=60, is_exact=True, subsampling="444", enlarged=2.0)]
    steps = yaml.safe_load(recipe_text(pictures))["degradations"]
    assert steps == [
        {"type": "shrink"},
        {"type": "blur", "kernels": ["iso"], "sigma": [1.76, 2.24], "prob": 0.75},
        {"type": "resize", "factor": [0.49, 0.51], "probs": [0, 1, 0], "back": True},
        {"type": "noise", "kinds": ["gaussian"], "sigma": [8.8, 11.2], "gray_prob": 0.0, "prob": 0.75},
        {"type": "jpeg", "quality": [63, 80], "subsampling": ["420", "444"], "subsampling_weights": [0.75, 0.25]},
    ]


def test_subsampling_stays_text_in_yaml():
    text = recipe_text([Picture(quality=70, is_exact=True, subsampling="420")])
    assert "{type: jpeg, quality: [70, 70], subsampling: ['420']}" in text
    assert text.startswith("# Proposed by trainner estimate from 1 images.")


def test_clean_images_need_no_recipe():
    assert recipe_text([Picture()] * 3) is None


def test_report_tells_intervals_and_what_is_hidden():
    lines = report_lines([DEGRADED, Picture(hidden=frozenset({"noise"}))])
    assert lines == [
        "enlarged: in 1 of 2, by a factor of 1.96 to 2.04, median 2.00",
        "blur: in 1 of 2, of a width in pixels of 1.76 to 2.24, median 2.00",
        "noise: in 1 of 1, of a standard deviation, in steps of 255, of 8.8 to 11.2, median 10.0; hidden in 1",
        "JPEG: in 1 of 2, of quality 80 to 80, median 80",
        "JPEG: read from the tables of 1 files, in others from the pixels; color 420 in 1",
    ]
    assert report_lines([Picture()]) == ["enlarged: none", "blur: none", "noise: none", "JPEG: none"]


def test_degradations_take_the_recipe():
    registry = pytest.importorskip("traiNNer.degradations", reason="the degradations are not there yet").DEGRADATIONS
    for step in yaml.safe_load(recipe_text([DEGRADED] * 3))["degradations"]:
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in step.items()}
        assert registry[options.pop("type")].builder(**options)
