import pytest

EARLY = "    - {type: L1Loss, stop_iter: 60}\n"
LATE = "    - {type: CharbonnierLoss, start_iter: 60}\n"
RULES = {
    "gap at the start": ("    - {type: L1Loss, start_iter: 10}\n", "no loss is active in iterations 1 to 10"),
    "gap at the end": (EARLY, "no loss is active in iterations 61 to 100"),
    "gap between": (EARLY + LATE.replace("60", "65"), "no loss is active in iterations 61 to 65"),
}
USUAL = "    - type: L1Loss\n    - type: CharbonnierLoss\n      eps: 1e-3\n"


@pytest.mark.parametrize("name", RULES)
def test_every_iteration_needs_a_loss(problems, base, name):
    losses, message = RULES[name]
    assert USUAL in base
    assert [(key, text) for _, key, text in problems(base.replace(USUAL, losses))] == [("train.losses", message)]


def test_end_must_come_after_the_start(problems, base):
    losses = EARLY + LATE.replace("start_iter: 60", "start_iter: 60, stop_iter: 60")
    expected = [("train.losses[1].stop_iter", "must be more than start_iter 60")]
    assert [(key, text) for _, key, text in problems(base.replace(USUAL, losses))] == expected


def test_losses_that_hand_over_are_accepted(load, base):
    choices = load(base.replace(USUAL, LATE + EARLY)).options.train.losses
    assert [(choice.start_iter, choice.stop_iter) for choice in choices] == [(60, None), (0, 60)]
