"""The tables of foreign words are well-formed."""

import pytest

from traiNNer import registry
from traiNNer.config.foreign_defaults import DEFAULTS, INSTEAD_OF, OPTION_DEFAULTS, SECTIONS
from traiNNer.config.foreign_names import COMPONENTS
from traiNNer.config.foreign_words import OFF, WORDS, Word, passed_over
from traiNNer.registry import fold

KINDS = {
    getattr(registry, name).kind: getattr(registry, name)
    for name in ("ARCHS", "LOSSES", "METRICS", "DATASETS", "SCHEDULES")
}


@pytest.mark.parametrize("kind", COMPONENTS)
def test_names_are_folded_and_of_a_known_kind(kind):
    assert kind in KINDS
    assert all(name == fold(name) for name in COMPONENTS[kind])


def test_every_word_has_an_answer_or_is_never_refused():
    words = [word for section in WORDS.values() for word in section.values()]
    assert words
    assert all(word.answer or word.says_nothing(object(), {}) for word in words)


@pytest.mark.parametrize("value", OFF)
def test_values_that_are_off_say_nothing(value):
    assert Word("refused").says_nothing(value, {})
    assert not Word("refused").says_nothing([1], {})
    assert passed_over("why").says_nothing([1], {})


def test_options_with_other_defaults_exist():
    for default in DEFAULTS:
        assert {default.option, default.needs or default.option} <= SECTIONS[default.section].model_fields.keys()
    for name, options in OPTION_DEFAULTS.items():
        kind = registry.METRICS if name in registry.METRICS else registry.LOSSES
        known = kind[name].options.model_fields.keys()
        assert options.keys() <= known
        assert all(kind[name].options.model_fields[option].default != theirs for option, theirs in options.items())
        assert {INSTEAD_OF.get(option, option) for option in options} <= known
