"""Any single mistyped key of a valid file is reported once, on its line, with the right name."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError

GUIDE = Path(__file__).parents[2] / "data" / "guide.yml"
KEY = re.compile(r"^(\s*(?:- )?)(\w+):")
FREE = {"eta_min", "T_max"}  # parameters of a schedule: any key is accepted there
LINES = GUIDE.read_text(encoding="utf-8").splitlines()
KEYS = [number for number, line in enumerate(LINES) if (found := KEY.match(line)) and found.group(2) not in FREE]
DATASETS = range(next(n for n, line in enumerate(LINES) if line.startswith("datasets:")), len(LINES))


@st.composite
def typos(draw):
    """A line of the guide, and its key with one letter lost, doubled or swapped with the next."""
    number = draw(st.sampled_from(KEYS))
    key = KEY.match(LINES[number]).group(2)
    at = draw(st.integers(0, len(key) - 1))
    kind = draw(st.sampled_from(["lost", "doubled", "swapped", "foreign"]))
    if kind == "lost":
        wrong = key[:at] + key[at + 1 :]
    elif kind == "doubled":
        wrong = key[: at + 1] + key[at:]
    elif kind == "foreign":
        wrong = key[:at] + "x" + key[at:]
    else:
        wrong = key[:at] + key[at : at + 2][::-1] + key[at + 2 :]
    assume(wrong != key)
    assume(wrong.replace("_", "").lower() != key.replace("_", "").lower())  # an accepted spelling
    return number, key, wrong


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typos())
def test_every_mistyped_key_is_found(tmp_path, typo):
    number, key, wrong = typo
    lines = [*LINES]
    lines[number] = KEY.sub(lambda match: f"{match.group(1)}{wrong}:", lines[number])
    path = tmp_path / "typo.yml"
    path.write_text("\n".join(lines), encoding="utf-8")
    assume(not _is_another_set(wrong, number))
    with pytest.raises(ConfigError) as caught:
        load_options(path, TrainOptions)
    assert [problem.line for problem in caught.value.problems] == [number + 1], str(caught.value)
    assert f"did you mean '{key}'?" in str(caught.value)


def _is_another_set(wrong: str, number: int) -> bool:
    """`vall` is a validation set like `val`."""
    return wrong.startswith("val") and LINES[number].startswith("  val:") and number in DATASETS
