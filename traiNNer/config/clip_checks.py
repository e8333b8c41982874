"""Rules between a network and the clips it is given: as many frames as it sees at once."""

from traiNNer.config.facts import Facts
from traiNNer.registry import Component
from traiNNer.traits import ArchTraits

OPTION = "clip_size"
OURS = "traiNNer."


def check_clips(facts: Facts) -> None:
    """Report datasets whose clips the network cannot take, and mixing of clips."""
    arch: Component[ArchTraits] | None = facts.chosen.get(("network_g",))
    if arch is None:
        return
    option = arch.traits.frames_option
    frames = facts.value(("network_g", option), int) if option else 1
    if frames is None:
        return
    needed = f"must be {frames}: {arch.name} {f'has {option}: {frames}' if option else 'sees single images'}"
    for name in facts.entries("datasets"):
        at = ("datasets", name)
        component = facts.chosen.get(at)
        if component is None:
            continue
        if OPTION in component.options.model_fields:
            clip_size = facts.value((*at, OPTION), int)
            if clip_size is not None and clip_size != frames:
                facts.problem((*at, OPTION), needed)
        elif frames > 1 and component.builder.__module__.startswith(OURS):
            kinds = "pairedvideodataset or singlevideodataset"
            facts.problem((*at, "type"), f"gives single images, and {arch.name} sees {frames} at once: use {kinds}")
    if frames > 1 and facts.on("train", "use_moa"):
        facts.problem(("train", "use_moa"), f"mixes single images, and {arch.name} is trained with clips")
