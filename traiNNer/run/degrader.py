"""The degradations of a dataset section, as one object that its dataset calls."""

from traiNNer.config.options import DatasetChoice
from traiNNer.degradations.draws import Notes
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.registry import DEGRADATIONS


def build_degrader(choice: DatasetChoice, notes: Notes | None = None) -> Degrader | None:
    """Return what makes LQ images as the section says; None where it says nothing.

    What is drawn is written to `notes`.

    Raises:
        ValueError: options of a step, or steps of the recipe, do not fit each other.
    """
    if not choice.degradations:
        return None
    made = [
        (one.target, Step(one.type, DEGRADATIONS.build(one.type, one.options), one.prob, one.either, batched))
        for one in choice.degradations
        for batched in [DEGRADATIONS[one.type].traits.batched]
    ]
    steps, target = ([step for is_target, step in made if is_target is wanted] for wanted in (False, True))
    return Degrader(Recipe(steps, target, choice.shuffle_degradations), notes)
