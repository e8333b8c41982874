"""Every `{type: name, …}` against its component's own signature."""

import pytest


def replaced(base: str, old: str, new: str) -> str:
    assert old in base
    return base.replace(old, new)


def test_the_name_is_taken_in_any_case_and_the_options_are_the_components(load, base):
    loss = load(replaced(base, "CharbonnierLoss", "CHARBONNIERLOSS")).options.train.losses[1]
    assert (loss.type, loss.options.eps) == ("charbonnierloss", 1e-3)


def test_a_name_that_is_not_registered_is_told_with_the_nearest(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "type: TinyNett"))
    assert key == "network_g.type"
    assert "did you mean 'tinynet'" in message


def test_a_missing_type_is_told_with_what_there_is(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "dim: 8"))
    assert key == "network_g.type"
    assert message.startswith("is missing: the")
    assert "tinynet" in message


def test_a_mistyped_type_is_one_problem(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "tpye: TinyNet"))
    assert (key, message) == ("network_g.tpye", "unknown option; did you mean 'type'?")


def test_a_type_that_is_no_text_is_told(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "type: 3"))
    assert key == "network_g.type"
    assert message.startswith("must be the name of a registered")


def test_wrong_options_of_two_components_are_told_together(problems, base):
    text = replaced(replaced(base, "type: TinyNet", "type: TinyNet\n  dim: 0"), "eps: 1e-3", "esp: 1e-3")
    assert {key: message for _, key, message in problems(text)} == {
        "network_g.dim": "must be greater than 0",
        "train.losses[1].esp": "unknown option; did you mean 'eps'?",
    }


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("type: TinyNet\n  seed: 3", "unknown option; it is given by manual_seed"),
        ("type: TinyNet\n  total_iter: 3", "unknown option; it is given by train.total_iter"),
        ("type: TinyNet\n  eps: 3", "unknown option; belongs to train.optim_g"),
        ("type: TinyNet\n  val_freq: 3", "unknown option; belongs to val"),
        ("type: TinyNet\n  manual_seed: 3", "unknown option; belongs to the top level"),
    ],
)
def test_a_key_of_another_place_is_sent_there(problems, base, written, message):
    ((_, _, found),) = problems(replaced(base, "type: TinyNet", written))
    assert found == message


def test_a_section_that_is_no_section_is_told(problems, base):
    (found,) = problems(
        replaced(base, "  losses:\n    - type: L1Loss\n", "  losses: 3\n  unused:\n    - type: L1Loss\n")
    )[:1]
    assert found[1] == "train.losses"
    assert "a list" in found[2]


def test_a_section_whose_lines_are_all_commented_out_is_an_empty_one(load, base):
    assert load(base + "logger:\n").options.logger == load(base).options.logger
