import pytest

from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError

READ = {
    "!!float 1e-4": 1e-4, "!!float 3": 3.0, "!!int 3": 3, "!!str 1.10": "1.10", "!!str true": "true", "!!str": "",
    "!!bool true": True, "!!null ~": None, "!!null": None, "!!float '2e-4'": 2e-4, "!!map {b: !!float 1}": {"b": 1.0},
    "!!seq [!!int 1]": [1], "!<tag:yaml.org,2002:float> 1": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_core_tag_says_the_type(text, value):
    found = load_yaml(f"a: {text}", "f.yml").tree["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!int 1.5", "1.5 is not a whole number, as its tag !!int says."),
        ("!!float fast", "fast is not a number, as its tag !!float says."),
        ("!!float true", "true is not a number"),
        ("!!int true", "true is not a whole number"),
        ("!!bool yes", "yes is not true or false"),
        ("!!null x", "x is not null"),
        ("!!float 012", "Write 12"),
        ("!!float [1]", "tag !!float is not allowed. Remove it"),
        ("!!map x", "tag !!map is not allowed. Remove it"),
        ("!!timestamp 2001-01-01", "tag !!timestamp is not allowed."),
    ],
)
def test_tag_that_does_not_fit_is_refused(text, words):
    with pytest.raises(ConfigError) as caught:
        load_yaml(f"a: {text}\nb: 012", "f.yml")
    assert [problem.line for problem in caught.value.problems] == [1, 2]  # the rest is checked all the same
    assert words in caught.value.problems[0].message


def test_tagged_key():
    assert load_yaml("!!str 1: x", "f.yml").tree == {"1": "x"}
    with pytest.raises(ConfigError, match="a key must be text"):
        load_yaml("!!int 1: x", "f.yml")
