"""How many option files of a folder load, and why the others do not: for the templates of traiNNer-redux.

    python -m benchmarks.redux_templates traiNNer-redux/options/_templates/train [--test] [--changes]

A file that does not load for several reasons counts at each of them; the second column counts those that would load
without that reason. Reasons in brackets are components and features that traiNNer does not have; an "error" is anything
else, and is listed with the file it was first seen in.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.config.foreign_names import COMPONENTS
from traiNNer.config.foreign_words import WORDS
from traiNNer.config.load import load_options
from traiNNer.config.options import CommonOptions, TestOptions, TrainOptions
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError, Problem
from traiNNer.registry import ARCHS

COMPONENT = re.compile(r"(network_[gd]|losses|metrics|datasets|scheduler|optim_[gd]|model)\b.*\btype$")
ANSWERS = {word.answer for section in WORDS.values() for word in section.values() if word.answer}
NAMED = {answer for names in COMPONENTS.values() for answer in names.values()}
FIRST_WORDS = re.compile(r"   known: .*")


@dataclass
class Count:
    """What became of the files of a folder."""

    files: int = 0
    loaded: int = 0
    carried: int = 0
    """Files whose network is one that traiNNer has."""
    carried_loaded: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    """Files that have this reason and no other."""
    changes: Counter[str] = field(default_factory=Counter)
    """What was passed over or translated, by key."""
    errors: dict[str, Path] = field(default_factory=dict)


def reason_of(problem: Problem) -> str:
    """Return a class of problems: `[network_g]`, `[feature high_order_degradation]` or `error …`."""
    key = problem.key.split(" ")[-1]
    message = FIRST_WORDS.sub("", problem.message)
    kind = COMPONENT.search(key)
    if kind and (message in NAMED or message.startswith("no such")):
        return f"[{kind.group(1)}: {str(problem.value).lower()}]" if kind.group(1) == "losses" else f"[{kind.group(1)}]"
    bare = re.sub(r"\[\d+\]", "", key)
    return f"[feature {bare}]" if message in ANSWERS else f"error: {bare} {message}"


def names_our_network(path: Path) -> bool:
    """Whether the network of a file is one that traiNNer has."""
    try:
        network = load_yaml(path.read_text(encoding="utf-8"), str(path)).root.at(("network_g", "type"))
    except ConfigError:
        return False
    return network is not None and str(network.value) in ARCHS


def count(paths: Iterable[Path], model: type[CommonOptions]) -> Count:
    """Load every file and count."""
    found = Count()
    for path in paths:
        found.files += 1
        is_carried = names_our_network(path)
        found.carried += is_carried
        try:
            loaded = load_options(path, model)
        except ConfigError as error:
            reasons = {reason_of(problem) for problem in error.problems} or {f"error: {error}"}
            found.reasons.update(reasons)
            if len(reasons) == 1:
                found.alone.update(reasons)
            for reason in reasons:
                if reason.startswith("error"):
                    found.errors.setdefault(reason, path)
        else:
            found.loaded += 1
            found.carried_loaded += is_carried
            found.changes.update(re.sub(r"\[\d+\]", "", change.split(" (")[0]) for change in loaded.changes)
    return found


def report(found: Count, folder: Path, changes: bool) -> str:
    """Return the table of a count."""
    rows = [
        f"{found.loaded} of {found.files} files load",
        f"{found.carried_loaded} of {found.carried} files whose network is one of traiNNer's",
        "",
        "files  alone  reason",
    ]
    for reason, number in sorted(found.reasons.items(), key=lambda item: (-item[1], item[0])):
        where = f"  ({found.errors[reason].relative_to(folder)})" if reason in found.errors else ""
        rows.append(f"{number:5}  {found.alone[reason]:5}  {reason}{where}")
    if changes:
        rows += ["", "times  passed over or translated in files that load"]
        rows += [f"{number:5}  {key}" for key, number in found.changes.most_common()]
    return "\n".join(rows)


def main() -> None:
    """Print the table of a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", action="store_true", help="the files are for test.py")
    parser.add_argument("--changes", action="store_true", help="list what was passed over, too")
    args = parser.parse_args()
    paths = sorted(path for ending in ("yml", "yaml") for path in args.folder.rglob(f"*.{ending}"))
    print(report(count(paths, TestOptions if args.test else TrainOptions), args.folder, args.changes))


if __name__ == "__main__":
    main()
