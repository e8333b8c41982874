"""A fixed hold-out: which images are kept for validation, decided by a hash of their names alone."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from traiNNer.registry import Influence

Split = Annotated[Literal["all", "train", "val"], Influence.NEUTRAL]  # the images it leaves are compared

# Names such as 0001_s001, photo_crop3, photo-patch-07, photo_tile_2_5, photo_tile_x0_y128, with or without _HR after.
CROP = re.compile(
    r"^(?P<whole>.*[^/_. -])[_. -]+(?:s|crop|tile|patch|part|sub)[_. -]?[xyrc]?\d+(?:[xyrc]\d+|[_., -][xyrc]?\d+)*$",
    re.IGNORECASE | re.DOTALL,
)
ROLE = re.compile(r"[_. -](?:hr|gt|lr|lq|x\d+)$", re.IGNORECASE)


def held_out(names: Iterable[str]) -> set[str]:
    """Return the names of the images that are held out: the same for any order, on any machine, in any run.

    Crops of one image stay together. Groups are taken in the order of their hashes as long as they fit into
    `held_out_count`; where none fits, the smallest one is taken. Empty where nothing would be left to train on.

    Args:
        names: paths below the root, without the ending; one that comes twice counts twice.
    """
    names = list(names)
    groups = {name: group_of(name) for name in names}
    sizes = Counter(groups[name] for name in names)
    if len(sizes) < 2:
        return set()
    ordered = sorted(sizes, key=lambda group: (_hash(group), group))
    room = held_out_count(len(names))
    chosen = set()
    for group in ordered:
        if sizes[group] <= room:
            chosen.add(group)
            room -= sizes[group]
    chosen = chosen or {min(ordered, key=lambda group: sizes[group])}
    return {name for name in names if groups[name] in chosen}


def held_out_count(images: int) -> int:
    """Return how many of so many images are held out: 1 %, from 8 to 100; of fewer than 32 a quarter, at least one."""
    return max(1, images // 4) if images < 32 else min(100, max(8, images // 100))


def group_of(name: str) -> str:
    """Return what the crops of one image have in common: `a/0001` of `a/0001_s003`; else the name itself."""
    name = ROLE.sub("", unicodedata.normalize("NFC", name))
    while crop := CROP.match(name):
        name = crop["whole"]
    return name


def _hash(group: str) -> bytes:
    return hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()
