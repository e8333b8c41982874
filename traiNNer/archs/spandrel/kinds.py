"""Types of options that several families share."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

Count = Annotated[int, Field(gt=0)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
Pair = tuple[Count, Count]
Ratio = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Chance = Annotated[float, Field(ge=0, lt=1)]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd; nearest: {value - 1}, {value + 1}")
    return value


OddCount = Annotated[int, Field(gt=0), AfterValidator(_odd)]


def only(value: Any) -> AfterValidator:
    """Return the check of an option that no weights file records: another value would open as another network."""

    def check(given: Any) -> Any:
        if given != value:
            raise ValueError(
                f"must stay {value}: no weights file records it, so what is saved would open as another network"
            )
        return given

    return AfterValidator(check)
