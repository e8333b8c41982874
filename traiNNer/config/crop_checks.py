"""Rules between the options of the training crops: sizes that fit each other, that grow, that the network takes."""

from itertools import pairwise

from traiNNer.config.facts import Facts
from traiNNer.config.tree import Path
from traiNNer.registry import Component
from traiNNer.traits import ArchTraits

TRAIN = ("datasets", "train")


def check_crops(facts: Facts) -> None:
    """Report every rule that the training crops break."""
    largest = _check_size(facts)
    _check_growth(facts, largest)
    until = facts.value((*TRAIN, "candidates_until"), int)
    if until is not None and facts.value((*TRAIN, "candidates"), int) == 1:
        facts.problem((*TRAIN, "candidates_until"), "has no effect without candidates: 2 or more")


def _check_size(facts: Facts) -> int | None:
    """Return the side in LQ pixels, of the largest crops where they grow; None where it is wrong or open."""
    lq_path, gt_path = (*TRAIN, "lq_size"), (*TRAIN, "gt_size")
    lq, gt, scale = facts.value(lq_path, int), facts.value(gt_path, int), facts.value(("scale",), int)
    if lq is not None and gt is not None and scale is not None and gt != lq * scale:
        lq_place, scale_place = facts.place(*lq_path), facts.place("scale")
        made_of = f"lq_size {lq} ({lq_place}) x scale {scale} ({scale_place})"
        facts.problem(gt_path, f"must be {lq * scale} = {made_of}")
    if lq is not None:
        _check_fits(facts, lq_path, lq)
        return lq
    if gt is None or scale is None:
        return None
    if gt % scale:
        facts.problem(gt_path, f"must be a multiple of scale {scale} ({facts.place('scale')})")
        return None
    _check_fits(facts, gt_path, gt // scale, scale)
    return gt // scale


def _check_growth(facts: Facts, largest: int | None) -> None:
    at = (*TRAIN, "crop_growth")
    node = facts.root.at(at)
    count = len(node.value) if node is not None and isinstance(node.value, list) else 0
    sides = [facts.value((*at, place, "lq_size"), int) for place in range(count)]
    ends = [facts.value((*at, place, "until"), int) for place in range(count)]
    for place, side in enumerate(sides):
        if side is not None:
            _check_fits(facts, (*at, place, "lq_size"), side)
    for place, (one, following) in enumerate(pairwise([*sides, largest])):
        if one is not None and following is not None and one >= following:
            facts.problem((*at, place, "lq_size"), f"must be less than the {following} that follow")
    for place, (one, following) in enumerate(pairwise(ends), start=1):
        if one is not None and following is not None and one >= following:
            facts.problem((*at, place, "until"), f"must be more than the {one} before")


def _check_fits(facts: Facts, path: Path, side: int, scale: int = 1) -> None:
    """Report a crop of `side` LQ pixels that the network cannot take; at `path` it stands `scale` times as large."""
    arch: Component[ArchTraits] | None = facts.chosen.get(("network_g",))
    if arch is None or arch.traits.fitting(side) == side:
        return
    times = f" x scale {scale}" if scale > 1 else ""
    needs = [
        f"{word} {size * scale}{times and f' = {size}{times}'}"
        for word, size, is_met in (
            ("a multiple of", arch.traits.size_multiple, side % arch.traits.size_multiple == 0),
            ("at least", arch.traits.least_size, side >= arch.traits.least_size),
        )
        if not is_met
    ]
    nearest_sides = ", ".join(str(near * scale) for near in arch.traits.nearest(side))
    facts.problem(path, f"{arch.name} needs {' and '.join(needs)}; nearest: {nearest_sides}")
