"""The start of a run: the ranks join, the device is chosen, switches and seeds are set."""

import os

import torch
import torch.distributed as dist

from traiNNer.config.options import CommonOptions
from traiNNer.engine.runtime.compiling import choose_compiling
from traiNNer.engine.runtime.device import find_device, idle_card
from traiNNer.engine.runtime.precision import choose_layout, choose_precision
from traiNNer.engine.runtime.ranks import PATIENCE
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.utils.host_memory import keep_freed_memory


def start_runtime(options: CommonOptions) -> tuple[Runtime, list[str]]:
    """Choose the device, set the global switches and seeds, join the ranks. Returns the runtime and warnings.

    A precision or memory layout that the network does not declare is not used, nor a compiler that is not there; a
    warning names what is used instead.

    Raises:
        ConfigError: `num_gpu` or `dist` ask for what this machine or start does not offer.
    """
    warnings: list[str] = []
    if options.dist:
        _join_ranks(options)
    device, about = _choose_device(options, warnings)
    half = choose_precision(options, device, warnings)
    _set_switches(options, device)
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
            "dist: true needs processes started by torchrun, e.g. "
            "`torchrun --nproc_per_node 2 train.py -opt …`; for one process set dist: false"
        )
    wants_gpu = options.num_gpu != 0 and torch.cuda.is_available()
    dist.init_process_group("nccl" if wants_gpu else "gloo", timeout=PATIENCE)


def _choose_device(options: CommonOptions, warnings: list[str]) -> tuple[torch.device, str]:
    wanted = options.num_gpu if isinstance(options.num_gpu, int) else 0
    if wanted > 1 and torch.cuda.device_count() < wanted:
        raise ConfigError(f"num_gpu: {wanted}, but this machine has {torch.cuda.device_count()} CUDA devices")
    if isinstance(options.num_gpu, int) and options.num_gpu > 1 and not options.dist:
        raise ConfigError(
            f"num_gpu: {options.num_gpu} needs dist: true and one process per device: "
            f"`torchrun --nproc_per_node {options.num_gpu} train.py -opt …`"
        )
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
    reason = f"{'num_gpu is 1, but ' if wanted and device.kind == 'cpu' else ''}{device.why}"
    return device.handle, f"Device: {device.name}{threads} ({reason})"


def _set_switches(options: CommonOptions, device: torch.device) -> None:
    torch.set_float32_matmul_precision("high" if options.fast_matmul else "highest")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = options.fast_matmul
        torch.backends.cudnn.benchmark = not options.deterministic
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
