from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from traiNNer.archs.spandrel.kinds import Chance, Counts, OddCount, only


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [(OddCount, 5, 4), (OddCount, 1, 0), (Counts, (1, 2), ()), (Counts, (1,), (0,)), (Chance, 0.0, 1.0)],
)
def test_only_possible_values_pass(kind, good, bad):
    assert TypeAdapter(kind).validate_python(good) == good
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(bad)


def test_even_count_is_told_its_neighbors():
    with pytest.raises(ValidationError, match="nearest: 3, 5"):
        TypeAdapter(OddCount).validate_python(4)


def test_fixed_option_passes_only_as_it_is():
    kind = TypeAdapter(Annotated[float, only(0.01)])
    assert kind.validate_python(0.01) == 0.01
    with pytest.raises(ValidationError, match=r"must stay 0\.01: no weights file records it"):
        kind.validate_python(0.1)
