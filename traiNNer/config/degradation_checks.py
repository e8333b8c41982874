"""Rules of a recipe of degradations: who takes one, values that fit each other, steps that exclude each other."""

from pydantic import ValidationError

from traiNNer.config.facts import Facts
from traiNNer.config.layout import static_keys
from traiNNer.config.options import DegradationChoice
from traiNNer.config.tree import Node, Path

KEY = "degradations"
FULL = 1 + 1e-9


def check_degradations(facts: Facts) -> None:
    """Report every rule that a recipe breaks."""
    for name, dataset in facts.entries("datasets").items():
        at = ("datasets", name)
        listed = dataset.child(KEY)
        steps = listed.value if listed is not None and isinstance(listed.value, list) else []
        component = facts.chosen.get(at)
        if steps and component is not None and "degrade" not in component.context:
            facts.problem((*at, KEY), f"{component.name} makes its LQ images itself. Remove the recipe")
        if not steps and facts.on(*at, "shuffle_degradations"):
            facts.problem((*at, "shuffle_degradations"), f"has no effect without {KEY}")
        if not steps and facts.value((*at, "made_of_gt"), float) is not None:
            facts.problem((*at, "made_of_gt"), f"has no effect without {KEY}")
        for place, step in enumerate(steps):
            _check_step(facts, (*at, KEY, place), step)
        _check_alternatives(facts, at, steps)


def _check_step(facts: Facts, path: Path, step: Node) -> None:
    """Build the step: its constructor knows what fits."""
    component = facts.chosen.get(path)
    if component is None or not isinstance(step.value, dict):
        return
    own = {key: child.plain() for key, child in step.value.items() if key not in static_keys(DegradationChoice)}
    try:
        component.build(own)
    except ValidationError:
        return  # reported where the types are checked
    except ValueError as error:
        facts.report.at(step, str(error))
    if component.traits.resizes and facts.value((*path, "target"), bool):
        facts.problem((*path, "target"), f"{component.name} changes the size, and the ground truth keeps its size")


def _check_alternatives(facts: Facts, at: Path, steps: list[Node]) -> None:
    shares: dict[str, float] = {}
    for place in range(len(steps)):
        path = (*at, KEY, place)
        group, share = facts.value((*path, "either"), str), facts.value((*path, "prob"), float)
        if group is None or share is None:
            continue
        shares[group] = shares.get(group, 0.0) + share
        if shares[group] > FULL:
            facts.problem((*path, "prob"), f"all steps with either: {group} add up to {shares[group]:g}, more than 1")
