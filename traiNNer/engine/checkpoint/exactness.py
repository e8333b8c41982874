"""What differs between a training state and the run that it is resumed with: refused, or reported by name."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from traiNNer.config.effective import scalar
from traiNNer.errors import CheckpointError


def refuse_mismatch(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Compare what must be equal for a resume: flat `key path -> value`, as `run.identity.identity` returns it.

    The options of a network are only named where its tensors (`network_g.tensors`) differ: one that leaves their shapes
    as they are ends exactness, not the run.

    Raises:
        CheckpointError: naming the first few keys with both values.
    """
    keys = [key for key in sorted({*recorded, *current}) if recorded.get(key) != current.get(key)]
    keys = [key for key in keys if _must_fit(key, keys)]
    if keys:
        lines = [f"{key} is {current.get(key)} in the options, {recorded.get(key)} in the checkpoint" for key in keys]
        raise CheckpointError(
            f"Cannot resume: {'; '.join(lines[:4])}. "
            "Use a new name, or path.pretrain_network_g to start from its weights."
        )


def _must_fit(key: str, differing: Sequence[str]) -> bool:
    section, _, option = key.partition(".")
    if not section.startswith("network_") or option == "type":
        return True
    options = [other for other in differing if other.startswith(f"{section}.") and other != f"{section}.tensors"]
    if option == "tensors":  # a hash means little to a user: it is named where nothing explains it
        return not options
    return f"{section}.tensors" in differing


def exactness_warnings(state: Mapping[str, Any], environment: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """Return what differs between a state and the run that it is resumed with, a line for each kind of difference.

    Args:
        state: the training state, with `environment`, `stream` and `progress`.
        environment: the present `Runtime.environment`.
        data: the present `run.identity.stream_identity`.

    Returns:
        A line for what ends bit-equality, one for other training images, one for what only validation sees (automations
        that read scores make it part of the first). None at all: the resume is exact.
    """
    before = state["stream"]
    images = {key: _other_images(before["files"].get(key), now) for key, now in data["files"].items()}
    training = changes("", state["environment"], environment) + _in_training(before, data)
    scores = changes("", before["scores"], data["scores"])
    scores += [f"datasets.{key} ({text})" for key, text in images.items() if text and not key.startswith("train")]
    if before["automations"] or data["automations"]:
        training, scores = training + scores, []
    lines = []
    if training:
        lines.append(f"Exact resume is off: {', '.join(training)} changed. Results will be close, not bit-identical.")
    if images.get("train"):
        iteration = state["progress"]["iteration"]
        lines.append(f"Dataset changed since the checkpoint: {images['train']}. Continuing at iteration {iteration:,}.")
    if scores:
        lines.append(
            f"Validation changed since the checkpoint: {', '.join(scores)}. The trained weights stay bit-identical; "
            "best scores may not be comparable with earlier ones."
        )
    return lines


def incomparable_scores(before: Mapping[str, Any], now: Mapping[str, Any], metrics: Iterable[str]) -> list[str]:
    """Return the metrics whose earlier scores were of other validation images or computed in another way.

    Args:
        before: `stream` of the training state.
        now: that of the present run.
        metrics: names of scores, e.g. `psnr`, or `set5/psnr` for one set.
    """
    then, current = _scoring(before), _scoring(now)
    if any(then[part] != current[part] for part in ("images", "sets", "tiles")):
        return list(metrics)
    old, new = then["metrics"], current["metrics"]
    return [name for name in metrics if old.get(name.rpartition("/")[2]) != new.get(name.rpartition("/")[2])]


def _scoring(stream: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a score, given the network; how often and under which name a set is validated does not."""
    scores = stream["scores"]
    options, sets = scores.get("val") or {}, scores.get("datasets") or {}
    return {
        "images": {key: files for key, files in stream["files"].items() if not key.startswith("train")},
        "sets": {key: {k: v for k, v in (one or {}).items() if k != "name"} for key, one in sets.items()},
        "tiles": [options.get("tile_size"), options.get("tile_overlap")],
        "metrics": options.get("metrics") or {},
    }


def _in_training(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences that change training whatever the automations do."""
    names = {"training": "", "libraries": "", "plugins": "plugins", "order": "order of the automations"}
    found = [text for part, name in names.items() for text in changes(name, before[part], now[part])]
    needs_length = before["needs_length"] or now["needs_length"]
    return found + (changes("", before["length"], now["length"]) if needs_length else [])


def _other_images(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return in words how the fingerprints of a set differ; empty where they do not."""
    if before == after or before is None or after is None:
        return ""  # a set that comes or goes is an option that changed
    if before.get("count") != after.get("count"):
        return f"{before.get('count')} -> {after.get('count')} images"
    which = "names or sizes" if before.get("sha256") != after.get("sha256") else "content"
    return f"{after.get('count')} images of other {which}"


def changes(name: str, before: Any, after: Any) -> list[str]:
    """Return what differs in words: `train.optim_g.lr (0.1 -> 0.2)`; another component is named once, by its type."""
    if before == after:
        return []
    inner = _inner(name, before, after)
    if inner is not None:
        return [text for key, *values in inner for text in changes(key, *values)]
    return [f"{name} ({_word(before)} -> {_word(after)})"]


def _inner(name: str, before: Any, after: Any) -> list[tuple[str, Any, Any]] | None:
    """Return the parts of two sections, or of two lists of sections; None for what is compared as a whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before.get("type") == after.get("type"):
        prefix = f"{name}." if name else ""
        return [(f"{prefix}{key}", before.get(key), after.get(key)) for key in dict.fromkeys([*after, *before])]
    if isinstance(before, list) and isinstance(after, list) and any(isinstance(v, Mapping) for v in before + after):
        pairs = enumerate(zip_longest(before, after))
        return [(f"{name}[{place}]", old, new) for place, (old, new) in pairs]
    return None


def _word(value: Any) -> str:
    """Return a value as it stands in an option file, without quotes; a section by its type."""
    if isinstance(value, Mapping):
        return str(value.get("type", "on"))
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    return "none" if value is None else value if isinstance(value, str) else scalar(value)
