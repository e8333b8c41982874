"""`trainner init --from FILE --preset fidelity`: the other preset for a file that exists, and a list of changes."""

import argparse
from pathlib import Path

from traiNNer.config.files import read_text
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable
from traiNNer.zero_config.output import require_free, write
from traiNNer.zero_config.preset_change import Upgrade, upgrade
from traiNNer.zero_config.presets import Preset

ALONE = ("gt", "lq", "val_gt", "val_lq", "meta_info", "arch", "scale", "budget", "find_lr", "fresh")


def run_upgrade(args: argparse.Namespace) -> None:
    """Upgrade a file; where it is replaced, the old one is kept beside it. Raises what `errors.py` lists."""
    others = [f"--{name.replace('_', '-')}" for name in ALONE if getattr(args, name)]
    if others:
        raise ConfigError(
            f"--from changes a file that exists; {', '.join(others)} would need a new one: leave out --from."
        )
    source: Path = args.source
    preset: Preset = args.preset or "fidelity"
    load_options(source, TrainOptions)
    text = read_text(source)
    done = upgrade(text, preset, source)
    output: Path = args.output or source
    if output == source:
        kept = _free_name(source, done.before)
        write(kept, text)
    else:
        require_free(output, args.overwrite)
        kept = source
    write(output, done.text)
    print(printable("\n".join([*difference(done), f"written: {output} (before: {kept})"])))


def difference(done: Upgrade) -> list[str]:
    """Return what changed and what did not, a line each."""
    width = max((len(key) for key in (*done.changed, *done.kept)), default=0)
    lines = [f"  {key:<{width}}  {'new' if old is None else old} -> {new}" for key, (old, new) in done.changed.items()]
    lines += [f"  {key:<{width}}  {value}  kept: it was not the preset's" for key, value in done.kept.items()]
    return [*lines, *(f"  {key}: left out, the file has no such section" for key in done.left_out)]


def _free_name(source: Path, preset: str) -> Path:
    """Return a name beside the file that is not taken."""
    name = source.with_name(f"{source.stem}.{preset}{source.suffix}")
    number = 2
    while name.exists():
        name = source.with_name(f"{source.stem}.{preset}{number}{source.suffix}")
        number += 1
    return name
