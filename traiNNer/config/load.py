"""An option file, with overrides, to typed options: all configuration errors are reported together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from traiNNer.config import compat
from traiNNer.config.automation_checks import check_automations, refuse_foreign_options
from traiNNer.config.checks import check_rules
from traiNNer.config.components import Checker
from traiNNer.config.effective import file_form, sources_of, write
from traiNNer.config.facts import Facts
from traiNNer.config.files import read_text
from traiNNer.config.from_weights import NetworkOf, complete_network
from traiNNer.config.options import CommonOptions
from traiNNer.config.overrides import apply_overrides
from traiNNer.config.plugins import import_plugins
from traiNNer.config.tree import Node, Report
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError

Options = TypeVar("Options", bound=CommonOptions)


KEYS_NAMED = 5


@dataclass(frozen=True)
class Loaded(Generic[Options]):
    """Checked options, what to report about them, and the file's own text."""

    options: Options
    warnings: tuple[str, ...]
    text: str
    root: Node
    changes: tuple[str, ...] = ()
    """Keys of the file that are used under another name, with another value, or not at all."""
    spellings: tuple[str, ...] = ()
    """Keys that mean the same in another place or spelling."""
    passed_over: tuple[str, ...] = ()
    """Keys, as written, of those in `changes` that have no effect."""
    theirs: Mapping[str, Any] = field(default_factory=dict)
    """What options that the file leaves out stand for in the framework it is written for, by key."""

    @cached_property
    def tree(self) -> dict[str, Any]:
        """Every effective value in the form of a file."""
        return file_form(self.options)

    @cached_property
    def sources(self) -> dict[str, str]:
        """Where each value came from, by key: `file line N`, `--set` or `default`."""
        return sources_of(self.tree, self.root)

    def notices(self, check: bool) -> list[str]:
        """Return what to say of keys that are not used as written: each where a file is checked, else one line.

        What only has another spelling is of interest in a check alone.
        """
        if check:
            return [*self.spellings, *self.changes]
        if not self.changes:
            return []
        keys = [change.split(" (")[0] for change in self.changes]
        more = f" and {len(keys) - KEYS_NAMED} more" if len(keys) > KEYS_NAMED else ""
        named = f"{', '.join(keys[:KEYS_NAMED])}{more}"
        return [f"Used in another way than written, or not at all: {named}; --check says how"]

    def effective(self) -> str:
        """Return every active value as YAML, each with a comment saying where it came from."""
        return write(self.tree, self.sources)


def load_options(
    path: Path, model: type[Options], overrides: Sequence[str] = (), network_of: NetworkOf | None = None
) -> Loaded[Options]:
    """Read, complete and check an option file.

    Components must have been registered before (plugins named in the file are imported here).

    Args:
        path: the file.
        model: its options.
        overrides: `key=value` texts, as after `--set`.
        network_of: reads which network a weights file holds, for a file that leaves `network_g` out.

    Raises:
        ConfigError: with every problem found.
    """
    text = read_text(path)
    root = load_yaml(text, str(path)).root
    return load_root(root, path, model, text, overrides, network_of)


def load_root(
    root: Node,
    path: Path,
    model: type[Options],
    text: str,
    overrides: Sequence[str] = (),
    network_of: NetworkOf | None = None,
) -> Loaded[Options]:
    """Complete and check the tree that was read from an option file. Raises `ConfigError` with every problem found."""
    if not isinstance(root.value, dict):
        found = "is empty" if root.value is None else "holds no keys and values"
        raise ConfigError(f"{path} {found}: an option file has lines such as `name: my_run`.")
    report = Report()
    compat.move_sections(root, model, report)
    apply_overrides(root, tuple(overrides), model, report)
    import_plugins(root, path.parent, report)
    if report.problems and "plugins" in {problem.key.split("[")[0] for problem in report.problems}:
        raise ConfigError(str(path), report.sorted())  # without its components every other message could mislead
    if network_of and not complete_network(root, network_of, report):
        raise ConfigError(str(path), report.sorted())
    return _loaded(root, model, report, str(path), text)


def check_tree(root: Node, model: type[Options], title: str, folder: Path = Path()) -> Loaded[Options]:
    """Complete and check a tree that comes from no file; `title` is what problems are reported of.

    Plugins are looked for relative to `folder`. Raises `ConfigError` with every problem found.
    """
    report = Report()
    compat.move_sections(root, model, report)
    import_plugins(root, folder, report)
    return _loaded(root, model, report, title, "")


def _loaded(root: Node, model: type[Options], report: Report, title: str, text: str) -> Loaded[Options]:
    compat.adapt(root, model, report)
    options = _check(root, model, report)
    if options is None or report.problems:
        raise ConfigError(title, report.sorted())
    changes, spellings, passed = tuple(report.changes), tuple(report.spellings), tuple(report.passed_over)
    return Loaded(options, tuple(report.warnings), text, root, changes, spellings, passed, report.theirs)


def _check(root: Node, model: type[Options], report: Report) -> Options | None:
    refuse_foreign_options(root, report)
    checker = Checker(model, report)
    options = checker.check(root, model)
    facts = Facts(root, model, checker.chosen, report)
    check_rules(facts)
    check_automations(facts)
    return options
