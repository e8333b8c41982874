import copy
import json
import pickle

import pytest

from traiNNer.utils.frozen import FrozenDict


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(b=2),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d.setdefault("b", 2),
        lambda d: d.__setitem__("a", 2),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"b": 2}),
    ],
)
def test_is_immutable(change):
    frozen = FrozenDict({"a": 1})
    with pytest.raises(TypeError, match="frozen"):
        change(frozen)
    assert frozen == {"a": 1}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_frozen(copied):
    other = copied(FrozenDict({"a": [1]}))
    assert other == {"a": [1]}
    assert type(other) is FrozenDict


def test_behaves_like_a_dict():
    frozen = FrozenDict({"a": 1})
    assert json.dumps(frozen) == '{"a": 1}'
    assert type(frozen | {"b": 2}) is dict
    assert {"b": 2} | frozen == {"a": 1, "b": 2}
