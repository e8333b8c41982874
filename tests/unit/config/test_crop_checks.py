import pytest

RULES = {
    "crop and scale": (
        ("lq_size: 48", "lq_size: 48\n    gt_size: 90"),
        (9, "datasets.train.gt_size", "must be 96 = lq_size 48 (line 8) x scale 2 (line 2)"),
    ),
    "gt_size alone": (
        ("lq_size: 48", "gt_size: 97"),
        (8, "datasets.train.gt_size", "must be a multiple of scale 2 (line 2)"),
    ),
    "size multiple": (
        ("lq_size: 48", "lq_size: 50"),
        (8, "datasets.train.lq_size", "tinynet needs a multiple of 8; nearest: 48, 56"),
    ),
    "size multiple of gt_size": (
        ("lq_size: 48", "gt_size: 40"),
        (8, "datasets.train.gt_size", "tinynet needs a multiple of 16 = 8 x scale 2; nearest: 32, 48"),
    ),
    "least size": (
        ("lq_size: 48", "lq_size: 8"),
        (8, "datasets.train.lq_size", "tinynet needs at least 16; nearest: 16"),
    ),
    "least size of gt_size": (
        ("lq_size: 48", "gt_size: 20"),
        (
            8,
            "datasets.train.gt_size",
            "tinynet needs a multiple of 16 = 8 x scale 2 and at least 32 = 16 x scale 2; nearest: 32",
        ),
    ),
    "size multiple of smaller crops": (
        ("lq_size: 48", "lq_size: 48\n    crop_growth: [{lq_size: 20, until: 10}, {lq_size: 32, until: 20}]"),
        (9, "datasets.train.crop_growth[0].lq_size", "tinynet needs a multiple of 8; nearest: 16, 24"),
    ),
    "crops that shrink": (
        ("lq_size: 48", "lq_size: 48\n    crop_growth: [{lq_size: 32, until: 10}, {lq_size: 24, until: 20}]"),
        (9, "datasets.train.crop_growth[0].lq_size", "must be less than the 24 that follow"),
    ),
    "smaller crops of the full size": (
        ("lq_size: 48", "gt_size: 96\n    crop_growth: [{lq_size: 48, until: 10}]"),
        (9, "datasets.train.crop_growth[0].lq_size", "must be less than the 48 that follow"),
    ),
    "crops out of order": (
        ("lq_size: 48", "lq_size: 48\n    crop_growth: [{lq_size: 16, until: 10}, {lq_size: 24, until: 10}]"),
        (9, "datasets.train.crop_growth[1].until", "must be more than the 10 before"),
    ),
    "mistyped key of a crop": (
        ("lq_size: 48", "lq_size: 48\n    crop_growth: [{lq_sze: 16, until: 10}]"),
        (9, "datasets.train.crop_growth[0].lq_sze", "unknown option; did you mean 'lq_size'?"),
    ),
    "end of no candidates": (
        ("lq_size: 48", "lq_size: 48\n    candidates_until: 10"),
        (9, "datasets.train.candidates_until", "has no effect without candidates: 2 or more"),
    ),
    "small size": (
        ("lq_size: 48", "lq_size: 3"),
        (8, "datasets.train.lq_size", "tinynet needs a multiple of 8 and at least 16; nearest: 16"),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_broken_rule_is_reported_where_it_is_written(problems, base, name):
    change, expected = RULES[name]
    assert problems(base.replace(*change, 1)) == [expected]
