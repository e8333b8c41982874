"""Which network a bare state dict belongs to, as spandrel sees it, in the words of an option file."""

import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from traiNNer.registry import ARCHS, Component
from traiNNer.traits import ArchTraits
from traiNNer.utils.meta import shapes_only

Values = dict[str, Any]
TRAINING_ONLY = ("drop_path_rate", "drop_rate", "attn_drop_rate", "use_checkpoint", "use_chk", "dropout", "drop_path")
"""Options that spandrel fills in with its defaults and no weights file knows."""
ROUNDING = 0.005
"""How far a ratio of channels may lie from the one that was meant, because channels are whole."""
FAILURES = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, RuntimeError)
"""How spandrel's readers fail at tensors that only look like those of an arch."""


def detect(state: Mapping[str, Tensor]) -> Values | None:
    """Return `type`, options and `scale` of the network that spandrel recognizes; None where it is not one of ours."""
    from spandrel import MAIN_REGISTRY, UnsupportedModelError

    try:
        # Built without memory: what a file claims to be may be of any size.
        with warnings.catch_warnings(), shapes_only():
            warnings.simplefilter("ignore")
            found = MAIN_REGISTRY.load(dict(state))
    except (UnsupportedModelError, *FAILURES):
        return None
    # The base of a family stands first: of two that are alike, the variant's name says more.
    same = sorted(_family(found.architecture.id, found.model), key=lambda part: bool(part.traits.family))
    family = [part for part in same if not part.traits.family]
    if not family:
        return None
    values = {name: _snapped(name, value, same) for name, value in _translated(found.model, family[0]).items()}
    if not any("attn_mask" in name for name in state):
        values.pop("img_size", None)  # spandrel had to guess it, and nothing depends on it
    try:
        checked = family[0].options.parse(values)
    except ValidationError:
        return None
    named = {name: getattr(checked, name) for name in values}
    alike = [part.name for part in same if _is(part, named)]
    return {"type": alike[-1] if alike else family[0].name, **values, "scale": found.scale}


def _family(identifier: str, network: nn.Module) -> list[Component[ArchTraits]]:
    """Return the archs that are saved under an identifier of spandrel. PLKSR and RealPLKSR share one."""
    same = [part for part in ARCHS if part.traits.opens_as == identifier]
    bases = {part.traits.family or part.name for part in same}
    wanted = type(network).__name__.lower()
    return [part for part in same if len(bases) == 1 or (part.traits.family or part.name) == wanted]


def _translated(network: nn.Module, family: Component[ArchTraits]) -> Values:
    """Return the options of a family with the values that spandrel read."""
    read: Values = dict(getattr(network, "hyperparameters", {}))
    if family.name == "esrgan":
        fold = read["shuffle_factor"]
        read |= {"use_pixel_unshuffle": fold is not None, "in_nc": read["in_nc"] // (fold or 1) ** 2}
    elif family.name == "realplksr":
        read["upsampler"] = "dysample" if read["dysample"] else "pixelshuffle"
    elif family.name == "mosr":
        read["upsampler"] = {"ps": "pixelshuffle", "dys": "dysample", "gps": "geoensemblepixelshuffle"}[
            read["upsampler"]
        ]
    elif family.name == "compact":
        read["in_chans"] = read["num_in_ch"]
    known = family.options.model_fields
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in read.items()
        if name in known and name not in TRAINING_ONLY
    }


def _snapped(name: str, value: Any, members: list[Component[ArchTraits]]) -> Any:
    """Return a ratio that was read from whole numbers of channels as it was meant: as an arch of the family has it."""
    if not isinstance(value, float):
        return value
    usual = [part.options.model_fields[name].default for part in members]
    nearest = min(usual, key=lambda default: abs(default - value))
    return nearest if abs(nearest - value) < ROUNDING * value else value


def _is(component: Component[ArchTraits], values: Values) -> bool:
    """Return whether the options of an arch are these by default."""
    fields = component.options.model_fields
    return all(fields[name].default == value for name, value in values.items())
