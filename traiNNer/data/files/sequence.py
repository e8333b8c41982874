"""Which images follow each other as the frames of a film: by their folders, names and numbers."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

NUMBERED = re.compile(r"^(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)$", re.DOTALL)


def runs(keys: Sequence[str], kinds: Sequence[Hashable]) -> list[range]:
    """Return for every image the range of those that belong to its clip, in which it lies.

    Frames of one clip lie in one folder, have names that differ in their last number alone, and these numbers rise by
    the same step as most of them do: a gap ends a clip. Names without a number make one clip for each folder.

    Args:
        keys: paths of the images without their endings, in natural order.
        kinds: what frames of one clip have in common besides, such as their size.
    """
    parts = [_parts(key) for key in keys]
    steps: dict[str, Counter[int]] = {}
    for (name, one), (other, two) in pairwise(parts):
        if name == other and one is not None and two is not None:
            steps.setdefault(name, Counter())[two - one] += 1
    usual = {name: counter.most_common(1)[0][0] for name, counter in steps.items()}
    found: list[range] = []
    start = 0
    for place in range(1, len(keys) + 1):
        if place < len(keys) and _follows(parts[place - 1], parts[place], usual) and kinds[place - 1] == kinds[place]:
            continue
        found += [range(start, place)] * (place - start)
        start = place
    return found


def _parts(key: str) -> tuple[str, int | None]:
    """Return what a clip is known by, and the number of the frame."""
    found = NUMBERED.match(key.rpartition("/")[2])
    folder = key.rpartition("/")[0]
    return (f"{folder}/{found['before']}*{found['after']}", int(found["number"])) if found else (folder, None)


def _follows(one: tuple[str, int | None], two: tuple[str, int | None], usual: dict[str, int]) -> bool:
    if one[0] != two[0]:
        return False
    return one[1] is None or two[1] is None or two[1] - one[1] == usual[one[0]]
