"""Rules of a recipe: each wrong file names its line."""

import pytest

from traiNNer.config.options import DegradationChoice

TRAIN = "    lq_size: 48\n"


def with_recipe(base, *lines):
    steps = "".join(f"      - {line}\n" for line in lines)
    return base.replace(TRAIN, f"{TRAIN}    degradations:\n{steps}", 1)


def test_a_recipe_is_typed_in_order(load, base):
    text = with_recipe(base, "blur", "{type: Jpeg, quality: [40, 60], prob: 0.5, either: end}", "type: shrink")
    steps = load(text).options.datasets["train"].degradations
    assert all(isinstance(step, DegradationChoice) for step in steps)
    assert [step.type for step in steps] == ["blur", "jpeg", "shrink"]
    assert (steps[1].prob, steps[1].either, steps[1].options.quality) == (0.5, "end", (40, 60))
    assert steps[0].options.sigma == (0.2, 3.0)


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        (["{type: blurr}"], "degradations[0].type", "did you mean 'blur'?"),
        (["blur", "{type: jpeg, qualty: [1, 2]}"], "degradations[1].qualty", "quality"),
        (["{type: jpeg, quality: [0, 50]}"], "degradations[0].quality[0]", "1"),
        (["{type: jpeg, quality: [60, 50]}"], "degradations[0]", "quality must be [least, most]"),
        (["{type: jpeg, prob: 2}"], "degradations[0].prob", "1"),
        (["{type: shrink, target: true}"], "degradations[0].target", "the ground truth keeps its size"),
        (
            ["{type: jpeg, prob: 0.7, either: a}", "{type: noise, prob: 0.7, either: a}"],
            "degradations[1].prob",
            "add up to 1.4, more than 1",
        ),
    ],
)
def test_what_is_wrong_is_named(problems, base, lines, key, message):
    text = with_recipe(base, *lines)
    (found,) = problems(text)
    assert found[1] == f"datasets.train.{key}"
    assert message in found[2]
    first = text.splitlines().index("    degradations:") + 2
    assert found[0] == first + int(key[len("degradations[")])


def test_shuffling_nothing_is_refused(problems, base):
    (found,) = problems(base.replace(TRAIN, f"{TRAIN}    shuffle_degradations: true\n", 1))
    assert found[1:] == ("datasets.train.shuffle_degradations", "has no effect without degradations")


def test_a_dataset_that_takes_no_recipe_refuses_one(problems, base, monkeypatch):
    from traiNNer.registry import DATASETS

    class Own:
        def __init__(self, dataroot_gt: str, dataroot_lq: str, lq_size: int = 1) -> None: ...

    DATASETS.register(Own, name="own")
    text = with_recipe(base.replace("PairedImageDataset", "own", 1), "blur")
    (found,) = problems(text)
    assert found[1] == "datasets.train.degradations"
    assert "own makes its LQ images itself" in found[2]
