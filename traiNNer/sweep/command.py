"""A sweep: every run is an ordinary one in the sweep's folder, trained or continued; at the end all are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from traiNNer.config.from_weights import NetworkOf
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.names import refusal
from traiNNer.config.options import TrainOptions
from traiNNer.config.stages import has_stages
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError, DataError, OutOfMemory, RunError, TrainingDiverged
from traiNNer.report.compare import grouped, sheets
from traiNNer.report.formats import Sheet, fitted, markdown
from traiNNer.report.record import read_record
from traiNNer.report.verdict import scores_of
from traiNNer.run.train import train
from traiNNer.sweep.axes import Axis, Point, Range, parse_axes, points
from traiNNer.sweep.record import SweepRecord, Trial
from traiNNer.sweep.search import Search, written
from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.rows import terminal_width

COMPARISON = "comparison.md"
FAILURES = (TrainingDiverged, OutOfMemory)
"""What ends one run and not the sweep: its values were bad, which is a result."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        path: the option file.
        axes: `key=a,b` and `key=low..high` texts.
        seeds: runs of every combination, each with another seed.
        trials: combinations to search for with optuna; None: all combinations of lists.
        name: of the sweep's folder; None: that of the file with `_sweep`.
        overrides: `key=value` texts for every run.
        check: check every run's options only.
        network_of: reads which network a weights file holds, for a file that leaves `network_g` out.
    """

    path: Path
    axes: Sequence[str]
    seeds: int = 1
    trials: int | None = None
    name: str | None = None
    overrides: Sequence[str] = ()
    check: bool = False
    network_of: NetworkOf | None = None


class Sweep:
    """The runs of one request.

    Raises:
        ConfigError: the option file, what is varied, or the folder cannot be used.
    """

    def __init__(self, request: Request, book: Logbook) -> None:
        if has_stages(request.path):
            raise ConfigError(f"{request.path} has stages; a sweep trains files without")
        self.request, self.book = request, book
        self.axes = parse_axes(request.axes)
        self.base = self._load([]).options
        name = request.name or f"{self.base.name}_sweep"
        if message := refusal(name):
            raise ConfigError(f"--name {message}")
        self.folder = Path(self.base.path.experiments_root).expanduser() / name
        if (self.folder / "metrics.jsonl").exists():
            raise ConfigError(f"{self.folder} is a run: give the sweep another --name")
        self.record = SweepRecord.read(self.folder)
        self.seeds = [(self.base.manual_seed or 0) + place for place in range(request.seeds)]

    def run(self) -> str:
        """Train what is not trained yet, and compare. Returns how it ended."""
        return self._grid() if self.request.trials is None else self._search(self.request.trials)

    # A grid

    def _grid(self) -> str:
        if ranges := [axis.key for axis in self.axes if isinstance(axis, Range)]:
            raise ConfigError(f"{ranges[0]} is a range, which needs --trials N; a grid needs a list, as 1e-4,1e-3")
        planned = points([axis for axis in self.axes if isinstance(axis, Axis)], self.seeds)
        loaded = [self._load(self._overrides(point)) for point in planned]  # all are checked before one is trained
        if self.request.check:
            return f"checked: the options of {len(planned)} runs are in order"
        for number, (point, options) in enumerate(zip(planned, loaded, strict=True), 1):
            self._train(point, options, f"Run {number} of {len(planned)}: {point.name}")
        return self._compare(planned)

    # A search

    def _search(self, count: int) -> str:
        if not self.axes:
            raise ConfigError("--trials needs something to vary, e.g. train.optim_g.lr=1e-4..1e-2")
        if not (self.base.val.val_enabled and self.base.val.metrics_enabled and self.base.val.metrics):
            raise ConfigError("--trials needs a validation with metrics: the first one is what is searched for")
        search = Search(self.axes, self.seeds[0], self._is_lower_better())
        if self.request.check:
            values = {axis.key: axis.values[0] if isinstance(axis, Axis) else written(axis.low) for axis in self.axes}
            self._load([f"{key}={value}" for key, value in values.items()])
            return "checked: the options of the first trial are in order"
        planned: list[Point] = []
        trials = self.record.content.trials
        for number in range(1, count + 1):
            if number > len(trials):
                trials.append(Trial(values=search.propose(trials)))
                self.record.write()
            trial = trials[number - 1]
            values = {key: written(value) for key, value in trial.values.items()}
            runs = [Point(f"trial-{number:03}_seed-{seed}", values, seed) for seed in self.seeds]
            planned += runs
            if trial.failed:
                continue
            shown = ", ".join(f"{key.rsplit('.', 1)[-1]} {value}" for key, value in values.items())
            ended = [
                self._train(point, self._load(self._overrides(point)), f"Trial {number} of {count}: {shown}")
                for point in runs
            ]
            trial.failed = not all(ended)
            trial.score = None if trial.failed else fmean(self._score(point) for point in runs)
            self.record.write()
        return self._compare(planned)

    def _is_lower_better(self) -> bool:
        from traiNNer.registry import METRICS  # only a search asks

        metric = next(iter(self.base.val.metrics.values()))
        builder = METRICS[metric.type].builder
        return getattr(builder, "direction", "higher") == "lower"

    def _score(self, point: Point) -> float:
        found = scores_of(read_record(self.folder / point.name))
        if not found:
            raise DataError(f"{self.folder / point.name} has no score: validate at least once, at the end")
        return found[0].best

    # One run

    def _load(self, overrides: Sequence[str]) -> Loaded[TrainOptions]:
        return load_options(
            self.request.path, TrainOptions, [*self.request.overrides, *overrides], self.request.network_of
        )

    def _overrides(self, point: Point) -> list[str]:
        place = [f'name="{point.name}"', f"path.experiments_root={_quoted(self.folder)}"]
        known = ["auto_resume=true"] if (self.folder / point.name).exists() else []
        return [*point.overrides(), *place, *known]

    def _train(self, point: Point, loaded: Loaded[TrainOptions], title: str) -> bool:
        """Train or continue one run. Returns whether it ended well."""
        failed = self.record.content.failed
        if point.name in failed:
            self.book.info(f"{title}: failed before ({failed[point.name]})")
            return False
        self.book.info(title)
        own = Logbook()
        try:
            reason = train(loaded, own, check=False, overwrite=False)
        except FAILURES as error:
            own.finish(str(error), error.exit_code, error.label)
            failed[point.name] = str(error).splitlines()[0]
            self.record.write()
            return False
        except RunError as error:
            own.finish(str(error), error.exit_code, error.label)
            raise
        else:
            own.finish(reason, 0)
            return True
        finally:
            own.close()

    # The end

    def _compare(self, planned: Sequence[Point]) -> str:
        failed = self.record.content.failed
        good = [point for point in planned if point.name not in failed]
        if not good:
            raise TrainingDiverged(f"every run of the sweep failed; see {self.folder}")
        groups = grouped([read_record(self.folder / point.name) for point in good])
        found = sheets(groups)
        if failed:
            rows = [[point.name, failed[point.name]] for point in planned if point.name in failed]
            found.append(Sheet("Runs that failed", ["run", "reason"], rows))
        if self.request.trials is not None:
            found.insert(0, self._trials())
        text = markdown(found)
        write_bytes_atomic(self.folder / COMPARISON, text.encode("utf-8", "replace"))
        self.book.console.print(fitted(found, terminal_width()), markup=False, highlight=False, soft_wrap=True)
        return f"finished: {len(good)} run{'s' * (len(good) != 1)} compared in {self.folder / COMPARISON}"

    def _trials(self) -> Sheet:
        trials = [trial for trial in self.record.content.trials if trial.score is not None]
        best = sorted(trials, key=lambda trial: trial.score or 0.0, reverse=not self._is_lower_better())
        rows = [[f"{trial.score:.4f}", *(written(value) for value in trial.values.values())] for trial in best]
        metric = next(iter(self.base.val.metrics))
        return Sheet("Trials, the best first", [metric, *(axis.key for axis in self.axes)], rows)


def _quoted(path: Path) -> str:
    """Return a path as YAML text."""
    return "'" + str(path).replace("'", "''") + "'"


def run_sweep(request: Request, book: Logbook) -> str:
    """Train, continue and compare the runs of a request. Returns how it ended.

    Raises:
        ConfigError: the option file, what is varied, or the folder cannot be used.
        RunError: what ends a run for reasons that are not its values.
    """
    if request.seeds < 1 or (request.trials is not None and request.trials < 1):
        raise ConfigError("--seeds and --trials must be at least 1")
    return Sweep(request, book).run()
