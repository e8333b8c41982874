"""Warnings of a resume for every difference between a state and the run."""

import copy

import pytest
from runkit import merged

from traiNNer.engine.checkpoint.exactness import changes, exactness_warnings, incomparable_scores, refuse_mismatch
from traiNNer.errors import CheckpointError

FILES = {"count": 5, "sha256": "a", "content": "b"}
STREAM = {
    "training": {"manual_seed": 7, "train": {"losses": [{"type": "l1loss", "loss_weight": 1.0}]}},
    "scores": {"val": {"val_freq": 4}},
    "length": {"train": {"total_iter": 12}},
    "needs_length": False,
    "files": {"train": FILES, "val": FILES},
    "automations": {},
    "order": [],
    "libraries": {"numpy": "2.0"},
    "plugins": {"loss.py": "12ab"},
}
ENVIRONMENT = {"torch": "2.8", "number of ranks": 1}
EXACT_OFF = "Exact resume is off: {} changed. Results will be close, not bit-identical."
VALIDATION = (
    "Validation changed since the checkpoint: {}. The trained weights stay bit-identical; best scores may not be "
    "comparable with earlier ones."
)


def warnings_of(environment=(), recorded=(), **now):
    """Return the lines for a state of `STREAM` with `recorded` parts, resumed with other parts."""
    state = {"progress": {"iteration": 1200}, "environment": ENVIRONMENT, "stream": STREAM | dict(recorded)}
    return exactness_warnings(copy.deepcopy(state), ENVIRONMENT | dict(environment), copy.deepcopy(STREAM) | now)


def test_no_message_without_changes():
    assert warnings_of() == []


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ({"training": STREAM["training"] | {"manual_seed": 8}}, "manual_seed (7 -> 8)"),
        ({"libraries": {"numpy": "2.1"}}, "numpy (2.0 -> 2.1)"),
        ({"plugins": {"loss.py": "34cd"}}, "plugins.loss.py (12ab -> 34cd)"),
        ({"plugins": {}}, "plugins.loss.py (12ab -> none)"),
    ],
)
def test_training_changes_are_named_with_both_values(now, text):
    (line,) = warnings_of(**now)
    assert line == EXACT_OFF.format(text)


def test_environment_changes_are_reported_before_options():
    other = STREAM["training"] | {"manual_seed": 8}
    assert warnings_of({"number of ranks": 2}, training=other) == [
        EXACT_OFF.format("number of ranks (1 -> 2), manual_seed (7 -> 8)")
    ]


@pytest.mark.parametrize("needs", [(True, False), (False, True)])
def test_length_matters_for_length_dependent_parts(needs):
    longer = {"train": {"total_iter": 24}}
    assert warnings_of(length=longer) == []
    before, now = needs
    assert warnings_of(recorded={"needs_length": before}, length=longer, needs_length=now) == [
        EXACT_OFF.format("train.total_iter (12 -> 24)")
    ]


def test_validation_only_options_do_not_change_training():
    assert warnings_of(scores={"val": {"val_freq": 8}}) == [VALIDATION.format("val.val_freq (4 -> 8)")]
    other = {"train": FILES, "val": FILES | {"content": "c"}}
    assert warnings_of(files=other) == [VALIDATION.format("datasets.val (5 images of other content)")]


@pytest.mark.parametrize("when", ["before", "now"])
def test_automation_may_act_on_validation_results(when):
    active = {"automations": {"stopping": {}}, "order": ["stopping"]}
    recorded = active if when == "before" else {"order": ["stopping"]}
    now = active if when == "now" else {"order": ["stopping"]}
    assert warnings_of(recorded=recorded, **now, scores={"val": {"val_freq": 8}}) == [
        EXACT_OFF.format("val.val_freq (4 -> 8)")
    ]


def test_automation_order_matters():
    two = {"a": {}, "b": {}}
    lines = warnings_of(recorded={"automations": two, "order": ["a", "b"]}, automations=two, order=["b", "a"])
    assert lines == [EXACT_OFF.format("order of the automations ([a, b] -> [b, a])")]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"count": 4, "sha256": "x"}, "5 -> 4 images"),
        ({"sha256": "x"}, "5 images of other names or sizes"),
        ({"content": "x"}, "5 images of other content"),
    ],
)
def test_other_training_images_are_reported(change, text):
    assert warnings_of(files={"train": FILES | change, "val": FILES}) == [
        f"Dataset changed since the checkpoint: {text}. Continuing at iteration 1,200."
    ]


@pytest.mark.parametrize(
    ("before", "after", "texts"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b (1 -> 2)"]),
        ({"a": True}, {"a": False}, ["a (true -> false)"]),
        ({"a": None}, {"a": {"type": "cosine", "x": 1}}, ["a (none -> cosine)"]),
        ({"a": {"type": "one", "x": 1}}, {"a": {"type": "two", "y": 1}}, ["a (one -> two)"]),
        ({"a": None}, {"a": {"enabled": True}}, ["a (none -> on)"]),
        ({}, {"a": 1}, ["a (none -> 1)"]),
        ({"a": [0.9, 0.99]}, {"a": [0.9, 0.999]}, ["a ([0.9, 0.99] -> [0.9, 0.999])"]),
        ({"a": [{"type": "x"}]}, {"a": [{"type": "x"}, {"type": "y"}]}, ["a[1] (none -> y)"]),
        ({"a": [{"type": "x", "w": 1}]}, {"a": [{"type": "x", "w": 2}]}, ["a[0].w (1 -> 2)"]),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, []),
    ],
)
def test_changes_are_named_by_their_keys(before, after, texts):
    assert changes("", before, after) == texts


IDENTITY = {
    "scale": 2,
    "network_g.type": "span",
    "network_g.alpha": 0.5,
    "network_g.width": 8,
    "network_g.tensors": "a",
}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"scale": 4}, "scale is 4 in the options, 2 in the checkpoint"),
        ({"network_g.type": "rrdb"}, "network_g.type is rrdb in the options, span in the checkpoint"),
        (
            {"network_g.width": 16, "network_g.tensors": "b"},
            "network_g.width is 16 in the options, 8 in the checkpoint. ",
        ),
        ({"network_g.tensors": "b"}, "network_g.tensors is b in the options, a in the checkpoint"),
    ],
)
def test_state_that_does_not_fit_is_refused(change, text):
    with pytest.raises(CheckpointError) as caught:
        refuse_mismatch(IDENTITY, IDENTITY | change)
    assert str(caught.value).startswith(f"Cannot resume: {text}")


def test_network_option_that_keeps_tensor_shapes_is_compatible():
    refuse_mismatch(IDENTITY, IDENTITY | {"network_g.alpha": 0.3})


VALIDATED = {
    "scores": {
        "datasets": {"val": {"type": "paired", "name": "set5"}},
        "val": {"val_freq": 4, "tile_size": 0, "metrics": {"psnr": {"crop_border": 2}, "ssim": {}}},
    },
    "files": {"train": {"count": 5}, "val": {"count": 2, "content": "a"}},
}


@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        ("files", {"train": {"count": 9}}, []),
        ("files", {"val": {"count": 2, "content": "b"}}, ["psnr", "ssim", "val/psnr"]),
        ("files", {"val_2": {"count": 2}}, ["psnr", "ssim", "val/psnr"]),
        ("scores", {"val": {"val_freq": 8}}, []),
        ("scores", {"val": {"tile_size": 64}}, ["psnr", "ssim", "val/psnr"]),
        ("scores", {"val": {"metrics": {"psnr": {"crop_border": 4}}}}, ["psnr", "val/psnr"]),
        ("scores", {"val": {"metrics": {"lpips": {}}}}, []),
        ("scores", {"datasets": {"val": {"name": "other"}}}, []),
    ],
)
def test_only_what_decides_a_score_makes_it_incomparable(part, change, expected):
    now = merged(VALIDATED, {part: change})
    assert incomparable_scores(VALIDATED, now, ["psnr", "ssim", "val/psnr"]) == expected
