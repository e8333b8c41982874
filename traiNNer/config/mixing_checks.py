"""Rules between the options of mixed images; a file with `use_moa: false` may hold anything in them."""

from traiNNer.config.facts import Facts
from traiNNer.config.options import MIXING, TrainSection

SWITCH, METHODS, SHARES = (("train", key) for key in ("use_moa", "moa_augs", "moa_probs"))
OF_SUM = 1e-3
PAIRING = ("mixup", "cutmix")


def check_mixing(facts: Facts) -> None:
    """Report probabilities that fit neither the methods nor 1, a method twice, and images that have no partner."""
    if not facts.on(*SWITCH):
        return
    methods = _plain(facts, METHODS)
    shares = _plain(facts, SHARES)
    if not all(method in MIXING for method in methods) or not all(_is_number(share) for share in shares):
        return
    if twice := sorted({method for method in methods if methods.count(method) > 1}):
        facts.problem(METHODS, f"has {', '.join(twice)} twice")
    if len(shares) != len(methods):
        facts.problem(SHARES, f"has {len(shares)} numbers for the {len(methods)} methods of moa_augs: {methods}")
        return
    if abs(sum(shares) - 1) > OF_SUM:
        facts.problem(SHARES, f"adds up to {sum(shares):.4g}; it must be 1")
    drawn = [method for method, share in zip(methods, shares, strict=True) if share > 0]
    alone = facts.value(("datasets", "train", "batch_size_per_gpu"), int) == 1
    for method in [method for method in PAIRING if alone and method in drawn]:
        facts.problem(METHODS, f"{method} needs a second image, and batch_size_per_gpu is 1. Remove it, or use 2")


def _plain(facts: Facts, path: tuple[str, ...]) -> list:
    node = facts.root.at(path)
    written = None if node is None else node.plain()
    return written if isinstance(written, list) else list(TrainSection.model_fields[path[-1]].default)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
