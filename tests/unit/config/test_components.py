"""Every `{type: name, …}` against its component's own signature."""

import pytest


def replaced(base: str, old: str, new: str) -> str:
    assert old in base
    return base.replace(old, new)


def test_name_ignores_case_and_options_match_the_component(load, base):
    loss = load(replaced(base, "CharbonnierLoss", "CHARBONNIERLOSS")).options.train.losses[1]
    assert (loss.type, loss.options.eps) == ("charbonnierloss", 1e-3)


def test_unregistered_name_is_reported_with_the_nearest(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "type: TinyNett"))
    assert key == "network_g.type"
    assert "did you mean 'tinynet'" in message


def test_missing_type_lists_the_choices(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "dim: 8"))
    assert key == "network_g.type"
    assert message.startswith("is missing: the")
    assert "tinynet" in message


def test_mistyped_type_is_one_problem(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "tpye: TinyNet"))
    assert (key, message) == ("network_g.tpye", "unknown option; did you mean 'type'?")


def test_non_string_type_is_reported(problems, base):
    ((_, key, message),) = problems(replaced(base, "type: TinyNet", "type: 3"))
    assert key == "network_g.type"
    assert message.startswith("must be the name of a registered")


def test_wrong_options_of_two_components_are_reported_together(problems, base):
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
def test_misplaced_key_names_its_section(problems, base, written, message):
    ((_, _, found),) = problems(replaced(base, "type: TinyNet", written))
    assert found == message


def test_non_mapping_section_is_reported(problems, base):
    (found,) = problems(
        replaced(base, "  losses:\n    - type: L1Loss\n", "  losses: 3\n  unused:\n    - type: L1Loss\n")
    )[:1]
    assert found[1] == "train.losses"
    assert "a list" in found[2]


def test_fully_commented_section_is_empty(load, base):
    assert load(base + "logger:\n").options.logger == load(base).options.logger
