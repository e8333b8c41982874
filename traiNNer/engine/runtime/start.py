"""The start of a run: the ranks join, the device is chosen, switches and seeds are set."""

import os
from datetime import timedelta
from functools import cache
from itertools import count

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from traiNNer.config.options import CommonOptions
from traiNNer.engine.runtime.compiling import choose_compiling
from traiNNer.engine.runtime.device import find_device, idle_card
from traiNNer.engine.runtime.dynamo import leave_compiler_out
from traiNNer.engine.runtime.launch import is_rank, restarts
from traiNNer.engine.runtime.precision import choose_layout, choose_precision
from traiNNer.engine.runtime.ranks import PATIENCE, lost_rank_named
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.utils.host_memory import keep_freed_memory

JOINING = timedelta(minutes=10)
"""How long a rank waits for the others at the start."""
_joins = count()


def start_runtime(options: CommonOptions, joins: bool = False) -> tuple[Runtime, list[str]]:
    """Choose the device, set the global switches and seeds. Returns the runtime and warnings.

    A precision or memory layout that the network does not declare is not used, nor a compiler that is not there; a
    warning names what is used instead.

    Args:
        options: of the run.
        joins: whether the process works together with the ranks that it was started with; else it is alone.

    Raises:
        ConfigError: `num_gpu` or `dist` ask for what this machine or start does not offer.
        RankLost: another rank does not come.
    """
    warnings: list[str] = []
    if joins and (options.dist or is_rank()):
        _join_ranks(options)
    else:
        _check_count(options, 1)
    device, about = _choose_device(options, warnings)
    half = choose_precision(options, device, warnings)
    _set_switches(options, device)
    leave_compiler_out()
    if device.type == "cpu":
        keep_freed_memory()
    runtime = Runtime(
        device,
        about,
        half=half,
        memory_format=choose_layout(options, warnings),
        use_compile=choose_compiling(options, device, warnings),
        deterministic=options.deterministic,
    )
    # The ranks start from equal weights (rank 0's) but draw different numbers afterwards.
    runtime.rng.seed(options.manual_seed + runtime.rank)
    return runtime, warnings


def _join_ranks(options: CommonOptions) -> None:
    if "RANK" not in os.environ:
        raise ConfigError(
            f"dist: true needs several processes: {_how_to_start(max(2, _wanted(options)))}; for one process set "
            "dist: false"
        )
    _check_count(options, int(os.environ["WORLD_SIZE"]))
    wants_gpu = options.num_gpu != 0 and torch.cuda.is_available()
    with lost_rank_named():
        store, rank, world = _meeting_place()
        # Each run (a stage, one started again) under another name: addresses that one before left there would mislead.
        place = PrefixStore(f"start {restarts()}, run {next(_joins)}", store)
        dist.init_process_group(
            "nccl" if wants_gpu else "gloo", store=place, rank=rank, world_size=world, timeout=PATIENCE
        )


@cache
def _meeting_place() -> tuple[Store, int, int]:
    """Return where the ranks find each other, this rank and their number; it stays open as long as the process."""
    return next(iter(rendezvous("env://", timeout=JOINING)))


def _check_count(options: CommonOptions, world: int) -> None:
    """Compare `num_gpu` with the number of processes, and those of this machine with its devices."""
    wanted, cards = _wanted(options), torch.cuda.device_count()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world)) if world > 1 else wanted
    if options.num_gpu != 0 and here > 1 and 0 < cards < here:
        asked = f"num_gpu: {wanted}" if wanted else f"{here} processes were started here"
        raise ConfigError(f"{asked}, but this machine has {cards} CUDA devices")
    if wanted > 1 and world == 1:
        raise ConfigError(f"num_gpu: {wanted} needs one process per device: {_how_to_start(wanted)}")
    if wanted and wanted != world:
        raise ConfigError(
            f"num_gpu: {wanted}, but {world} processes were started: set num_gpu: {world} or auto, or start as many "
            f"as num_gpu says: {_how_to_start(wanted)}"
        )


def _how_to_start(ranks: int) -> str:
    return f"`torchrun --nproc_per_node {ranks} train.py -opt …`, or `train.py -opt … --launcher auto`"


def _wanted(options: CommonOptions) -> int:
    return options.num_gpu if isinstance(options.num_gpu, int) else 0


def _choose_device(options: CommonOptions, warnings: list[str]) -> tuple[torch.device, str]:
    wanted = _wanted(options)
    if options.num_gpu == 0:
        return torch.device("cpu"), f"Device: CPU, {torch.get_num_threads()} threads (num_gpu is 0)"
    device = find_device()
    if device.kind == "cuda":
        torch.cuda.set_device(device.index)
    if said := idle_card(device):
        warnings.append(said)
    threads = f", {torch.get_num_threads()} threads" if device.kind == "cpu" else ""
    if wanted and device.kind == "cpu":
        warnings.append(
            f"num_gpu: {wanted}, but {device.why}: the CPU is used; write num_gpu: auto where that is meant"
        )
    reason = f"{f'num_gpu is {wanted}, but ' if wanted and device.kind == 'cpu' else ''}{device.why}"
    return device.handle, f"Device: {device.name}{threads} ({reason})"


def _set_switches(options: CommonOptions, device: torch.device) -> None:
    torch.set_float32_matmul_precision("high" if options.fast_matmul else "highest")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = options.fast_matmul
        torch.backends.cudnn.benchmark = not options.deterministic
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
