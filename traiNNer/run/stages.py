"""Several trainings of one option file, one after the other; a resumed run continues with the first unfinished one."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from pathlib import Path

from traiNNer.config.from_weights import NetworkOf
from traiNNer.config.stages import BEST, Stage, load_stages
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import best_name, cause, run_folder
from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.run.train import train
from traiNNer.utils.files import write_bytes_atomic

RECORD = "stages.json"


def train_stages(
    path: Path,
    overrides: Sequence[str],
    book: Logbook,
    *,
    check: bool,
    overwrite: bool,
    clock: Callable[[], float],
    network_of: NetworkOf | None = None,
) -> str:
    """Train every stage of an option file, or only check them.

    Args:
        path: the option file.
        overrides: `key=value` texts, as after `--set`.
        book: the log; every stage has files of that stage.
        check: whether to check only.
        overwrite: whether to start anew, with the first stage, where there is a run.
        clock: seconds since the program started.
        network_of: reads which network a weights file holds, for a stage that leaves `network_g` out.

    Returns:
        How it ended.
    """
    stages = load_stages(path, overrides, network_of=network_of)
    _check_starts(stages)
    if check:
        return _check_all(stages, book)
    for stage in stages[1:]:  # what is wrong with a later stage must not be found when the first one is trained
        train(stage.loaded, Logbook(quiet=True), check=True, overwrite=overwrite)
    record = _record_of(stages)
    finished = _finished(record, stages) if not overwrite else []
    weights: list[str | None] = [None] * len(stages)
    reason = "finished: every stage was (nothing left to do; --overwrite starts anew)"
    for place, stage in enumerate(stages):
        if place < len(finished):
            book.info(f"Stage {stage.name} is finished.")
            continue
        if place:
            weights[place] = _start_of(stages[place - 1], stage)
        # A later stage that did not begin yet is nothing to resume.
        is_new = place > 0 and not run_folder(stage.loaded.options).root.exists()
        ours = [*overrides, *(["auto_resume=false"] if is_new else [])]
        loaded = load_stages(path, ours, weights, network_of)[place].loaded
        book.info(f"Stage {place + 1} of {len(stages)}: {stage.name}")
        reason = train(loaded, book, check=False, overwrite=overwrite, clock=clock)
        finished.append(stage.name)
        _write_record(record, finished, book.rank)
        if place + 1 < len(stages):
            book.finish(reason, 0)
            book.close()
    return reason


def _check_all(stages: Sequence[Stage], book: Logbook) -> str:
    said = ""
    for stage in stages:
        book.info(f"Stage {stage.name}:")
        said = train(stage.loaded, book, check=True, overwrite=False)
    return said


def _check_starts(stages: Sequence[Stage]) -> None:
    """Report a stage that is to start from the best weights of one that finds none."""
    for before, stage in pairwise(stages):
        val = before.loaded.options.val
        if stage.start_from == BEST and not (val.val_enabled and val.metrics_enabled and val.metrics):
            raise ConfigError(
                f"Stage {stage.name} starts from the best weights of {before.name}, which has no validation with "
                "metrics: add one, or set start_from: last"
            )


def _start_of(before: Stage, stage: Stage) -> str:
    """Return the weights file of the stage before that a stage starts from."""
    options = before.loaded.options
    folder, ending = run_folder(options).models, options.logger.save_checkpoint_format
    if stage.start_from == BEST:
        file = folder / f"{best_name(next(iter(options.val.metrics)))}.{ending}"
    else:
        file = _newest(folder, "net_g_ema" if options.train.ema_decay else "net_g", ending)
    if not file.exists():
        raise ConfigError(f"Stage {stage.name} starts from {file}, which there is not: train stage {before.name} again")
    return str(file)


def _newest(folder: Path, role: str, ending: str) -> Path:
    """Return the weights of a role with the most iterations."""
    found = {int(m[1]): file for file in folder.glob("*") if (m := re.fullmatch(rf"{role}_(\d+)\.{ending}", file.name))}
    return found[max(found)] if found else folder / f"{role}.{ending}"


# Which stages are finished


def _record_of(stages: Sequence[Stage]) -> Path:
    return Path(stages[0].loaded.options.path.experiments_root).expanduser() / RECORD


def _finished(record: Path, stages: Sequence[Stage]) -> list[str]:
    """Return the names of the finished stages, as far as they are still the first ones of the file."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))["finished"]
    except (OSError, ValueError, KeyError):
        return []
    pairs = zip(known, [stage.name for stage in stages], strict=False)
    return [name for _, name in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def _write_record(record: Path, finished: Sequence[str], rank: int) -> None:
    if rank:
        return
    try:
        write_bytes_atomic(record, json.dumps({"finished": list(finished)}).encode())
    except OSError as error:
        raise CannotWrite(f"Cannot write to {record.parent} ({cause(error)}).") from None
