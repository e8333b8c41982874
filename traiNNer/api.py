"""What `import traiNNer` offers: training, testing and upscaling without a command line.

Nothing here ends the process or keeps a signal: while a training runs in the main thread it answers stop signals as the
command does, and the caller's handlers are back when it ends. In another thread no handler is touched.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from traiNNer.config.effective import write_explained
from traiNNer.config.load import Loaded, load_options, load_root
from traiNNer.config.options import CommonOptions, TestOptions, TrainOptions
from traiNNer.config.problems import Section, explain
from traiNNer.config.reference.docstrings import option_docs
from traiNNer.config.stages import has_stages, load_stages
from traiNNer.config.tree import Report, node_of
from traiNNer.engine.checkpoint.weights import network_of
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError, RunError
from traiNNer.registry import ARCHS, UnknownComponent
from traiNNer.run.result import RunResult, result_of
from traiNNer.run.stages import train_stages
from traiNNer.run.test import results_folder, test
from traiNNer.run.train import train as train_run
from traiNNer.upscaling.arrays import joined, split
from traiNNer.upscaling.command import OVERLAP, TILE, open_runtime
from traiNNer.upscaling.image import Upscaler
from traiNNer.upscaling.network import open_network, ready
from traiNNer.utils.upscaling import Tiling

Options = TypeVar("Options", bound=CommonOptions)
GIVEN = "the options"
"""What problems are reported of where the options come from no file."""


def train(
    options: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    auto_resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> RunResult:
    """Train as `train.py` does.

    Args:
        options: an option file, or its content.
        overrides: `key=value` texts, as after `--set`.
        auto_resume: continue from the newest complete state.
        overwrite: start anew; the old run is kept under another name.
        quiet: print nothing; the log of the run has everything.

    Returns:
        Which weights the run leaves behind, and how it ended.

    Raises:
        traiNNer.errors.ConfigError: with every problem of the options.
        traiNNer.errors.Interrupted: a stop signal arrived; everything was saved first.
        traiNNer.errors.RunError: what else ends a run; the class says what.
    """
    overrides = [*overrides, *(["auto_resume=true"] if auto_resume else [])]
    if isinstance(options, (str, Path)) and has_stages(path := Path(options)):
        last = load_stages(path, overrides, network_of=network_of)[-1].loaded.options
        with _book(quiet) as ending:
            ending.reason = train_stages(
                path, overrides, ending.book, check=False, overwrite=overwrite, network_of=network_of
            )
        return result_of(last, ending.reason)
    loaded = _load(options, TrainOptions, overrides)
    with _book(quiet) as ending:
        ending.reason = train_run(loaded, ending.book, check=False, overwrite=overwrite)
    return result_of(loaded.options, ending.reason)


def evaluate(
    options: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), quiet: bool = False
) -> dict[str, Any]:
    """Test as `test.py` does.

    Args:
        options: an option file without `train`, or its content.
        overrides: `key=value` texts, as after `--set`.
        quiet: print nothing.

    Returns:
        What `metrics.json` holds: `{set: {"mean": {metric: score}, "images": {file: {metric: score}}}}`, None for an
        infinite score.

    Raises:
        traiNNer.errors.ConfigError: with every problem of the options.
        traiNNer.errors.RunError: what else ends a test; the class says what.
    """
    loaded = _load(options, TestOptions, overrides)
    with _book(quiet) as ending:
        ending.reason = test(loaded, ending.book, check=False)
    return json.loads((results_folder(loaded.options) / "metrics.json").read_text(encoding="utf-8"))


def upscale(
    network: str | Path | nn.Module,
    image: NDArray[Any],
    *,
    scale: int | None = None,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> NDArray[Any]:
    """Upscale an image.

    Args:
        network: a weights or ONNX file, or a module, which computes where its parameters are.
        image: H, W (gray); H, W, 1; H, W, 2 (gray and opacity); H, W, 3 (RGB) or H, W, 4 (RGB and opacity): uint8,
            uint16, or floating point in [0, 1].
        scale: of a file that does not record it.
        tile: side of the tiles that larger images are computed in, in LQ pixels; 0: whole images.
        overlap: what a tile sees around it on every side, in LQ pixels.

    Returns:
        The larger image, of the same type and with as many channels, clamped.

    Raises:
        ValueError: the array is not such an image, or `tile` or `overlap` is negative.
        traiNNer.errors.ConfigError: the network cannot be used.
        traiNNer.errors.OutOfMemory: the smallest tiles do not fit into memory.
    """
    if tile < 0 or overlap < 0:
        raise ValueError(f"tile and overlap must be at least 0, not {tile} and {overlap}")
    picture = split(image)
    if not isinstance(network, nn.Module):
        opened = open_network(network, open_runtime(), scale)
        return joined(Upscaler(opened, Tiling(tile, overlap))(picture), image)
    with _evaluating(network):
        return joined(Upscaler(ready(network, _runtime_of(network)), Tiling(tile, overlap))(picture), image)


def list_archs() -> tuple[str, ...]:
    """Return the names of all networks that can be trained as `network_g`, sorted; see `trainner archs`."""
    return tuple(component.name for component in ARCHS if not component.traits.discriminates)


def build_network(arch: str, scale: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network by name. Raises `ConfigError`: see `traiNNer.build_network`."""
    try:
        component = ARCHS[arch]
    except UnknownComponent as error:
        raise ConfigError(f"{arch}: {error}") from None
    try:
        return component.build(options, scale=scale, seed=0)
    except ValidationError as error:
        report, known = Report(), Section(tuple(component.options.model_fields), option_docs(component).get)
        explain(error, node_of(options), lambda _: known, report)
        raise ConfigError(arch, report.sorted()) from None


def _load(source: str | Path | Mapping[str, Any], model: type[Options], overrides: Sequence[str]) -> Loaded[Options]:
    if isinstance(source, (str, Path)):
        return load_options(Path(source), model, overrides, network_of)
    plain = dict(source)
    if "stages" in plain:
        raise ConfigError("stages: write the options to a file and train that; a run of stages reads it several times")
    root = node_of(plain, source=GIVEN)
    try:
        text = write_explained(root.plain(), {})
    except TypeError as error:
        raise ConfigError(f"{GIVEN}: {error}: write texts, numbers, lists and dictionaries") from None
    return load_root(root, Path(GIVEN), model, text, overrides, network_of)


class _Ending:
    """A log, and how the run ended."""

    def __init__(self, quiet: bool) -> None:
        self.book = Logbook(quiet)
        self.reason = ""


@contextmanager
def _book(quiet: bool) -> Iterator[_Ending]:
    """Close the log of a run with its last line, whatever ends it."""
    ending = _Ending(quiet)
    try:
        yield ending
        ending.book.finish(ending.reason, 0)
    except RunError as error:
        ending.book.finish(str(error), error.exit_code, error.label)
        raise
    except BaseException as error:
        ending.book.finish(f"{type(error).__name__}: {error}", RunError.exit_code)
        raise
    finally:
        ending.book.close()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Let a network be in evaluation mode for a block, as all its parts were before afterwards."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _runtime_of(network: nn.Module) -> Runtime:
    tensor = next(iter(network.state_dict().values()), torch.zeros(()))
    return Runtime(tensor.device, f"Device: {tensor.device}")
