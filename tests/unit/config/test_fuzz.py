"""Any file gives options or a list of problems, never a traceback."""

import copy
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traiNNer.config.load import load_options
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError

GUIDE = load_yaml((Path(__file__).parents[2] / "data" / "guide.yml").read_text(encoding="utf-8"), "guide").tree


def places(tree, at=()):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


PLACES = places(GUIDE)[1:]
WORDS = [
    "",
    "type",
    "train",
    "val",
    "losses",
    "scale",
    "own",
    "automations",
    "options",
    "psnr",
    "L1Loss",
    "enabled",
    "../x",
    "~/x",
    "0",
]
values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -1, 3, 10**15, 0.5, -1e300, *WORDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=4), st.booleans())
def test_arbitrary_values_anywhere(tmp_path, changes, training):
    tree = copy.deepcopy(GUIDE)
    for place, value in changes:
        replace(tree, place, value)
    path = tmp_path / "any.yml"
    path.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    model = TrainOptions if training else TestOptions
    loaded, problems = attempt(path, model)
    assert (loaded is None) == bool(problems)
    assert all(problem.message and problem.key for problem in problems)
    if loaded is not None:
        path.write_text(loaded.effective(), encoding="utf-8")
        assert load_options(path, model).options == loaded.options


def attempt(path, model):
    try:
        return load_options(path, model), ()
    except ConfigError as error:
        return None, error.problems


def replace(tree, place, value):
    """Set a value at a path, if that path still exists."""
    for part in place[:-1]:
        if not fits(tree, part):
            return
        tree = tree[part]
    if fits(tree, place[-1]) or isinstance(tree, dict):
        tree[place[-1]] = value


def fits(tree, part):
    return part in tree if isinstance(tree, dict) else isinstance(tree, list) and part in range(len(tree))
