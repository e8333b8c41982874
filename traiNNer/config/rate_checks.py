"""Learning rates that teach nothing, and schedules that do not fit the length of the run."""

from collections.abc import Callable, Iterator

from traiNNer.config.facts import Facts
from traiNNer.config.tree import Path, key_of, shown
from traiNNer.registry import Component

Factor = Callable[[int], float]
SAMPLES = 200
"""Iterations at which a schedule is asked for its factor."""
NOTHING = 5e-6
"""Share of the highest rate below which nothing is learned any more; OneCycleLR rests at 4e-6 of it."""
SHORT_REST = 0.02
"""Share of the run that a schedule may rest at nothing: a cosine does so for 0.3 % of it."""
LENGTHS = ("T_max", "T_0", "total_iters", "total_steps")
"""Options of schedules that count the iterations until they are through."""


def check_rates(facts: Facts, length: int) -> None:
    """Refuse a rate that is always zero; warn of an end without one, and of schedules made for another length."""
    for optimizer, schedule in (("optim_g", "scheduler"), ("optim_d", "scheduler_d")):
        rate, at = facts.value(("train", optimizer, "lr"), float), ("train", schedule)
        if facts.root.at(("train", optimizer)) is None or rate is None:
            continue
        component = facts.chosen.get(at)
        if component is not None and not _is_bad(facts, at):
            facts.report.warnings += _floor(facts, at, rate)
            facts.report.warnings += _milestones(facts, at, length)
            _check_course(facts, at, component, rate, length)


def _is_bad(facts: Facts, at: Path) -> bool:
    node = facts.root.at(at)
    return node is None or any(key == node.key or key.startswith(f"{node.key}.") for key in facts.report.bad)


def _place(facts: Facts, *path: str) -> str:
    node = facts.root.at(path)
    return key_of(path) if node is None else f"{node.key} = {shown(node)} ({node.place()})"


def _floor(facts: Facts, at: Path, rate: float) -> Iterator[str]:
    lowest = facts.value((*at, "eta_min"), float)
    if lowest is not None and lowest > rate:
        yield f"{_place(facts, *map(str, at), 'eta_min')} is above lr {rate:g}: the rate rises instead of falling"


def _milestones(facts: Facts, at: Path, length: int) -> Iterator[str]:
    node = facts.root.at((*at, "milestones"))
    milestones = node.plain() if node is not None else None
    late = [found for found in milestones if isinstance(found, int) and found >= length] if milestones else []
    if late and node is not None:
        named = ", ".join(f"{found:,}" for found in late)
        yield f"{node.key} ({node.place()}): {named} never come{'s' * (len(late) == 1)}, total_iter is {length:,}"


def _check_course(facts: Facts, at: Path, component: Component, rate: float, length: int) -> None:
    """Follow the rate over the run: refuse one that is always zero, warn of an end without one and of one cut off."""
    section = facts.entries(*map(str, at))
    options = {key: node.plain() for key, node in section.items() if key != "type"}
    factor = component.build(options, total_iter=length, base_lr=rate)
    places = sorted({round(place * (length - 1) / SAMPLES) for place in range(SAMPLES + 1)})
    course = [factor(place) for place in places]
    peak = max(course)
    key = f"{facts.root.deepest(at).key} ({facts.place(*map(str, at))})"
    if peak <= 0:
        facts.problem(at, "the rate is zero in every iteration: nothing is learned")
        return
    awake = max(place for place, found in zip(places, course, strict=True) if found > NOTHING * peak)
    rest = next((place for place in places if place > awake), length)
    if length - rest > SHORT_REST * length:
        start = _first_at_rest(factor, awake, rest, NOTHING * peak)
        facts.report.warnings.append(
            f"{key}: the rate is {rate * factor(length - 1):.2g} from iteration {start:,} to {length:,}, "
            "where hardly anything is learned"
        )
    for name in LENGTHS:
        asked = facts.value((*at, name), int)
        if asked is not None and asked > length:
            where = _place(facts, *map(str, at), name)
            last = f"{rate * factor(length - 1):.3g}"
            facts.report.warnings.append(f"{where} is beyond total_iter {length:,}: the run ends at the rate {last}")


def _first_at_rest(factor: Factor, awake: int, rest: int, nothing: float) -> int:
    """Return the first iteration (from 1) after `awake` whose rate is nothing, at `rest` at the latest."""
    while rest - awake > 1:
        middle = (awake + rest) // 2
        awake, rest = (middle, rest) if factor(middle) > nothing else (awake, middle)
    return rest + 1
