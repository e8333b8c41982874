"""Where and how tensors are computed. The only file that names devices, ranks, precision and memory formats."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from traiNNer.batch import Batch
from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.engine.control.events import Memory
from traiNNer.errors import ConfigError, RunError
from traiNNer.models.protocol import Upscaler
from traiNNer.registry import ARCHS, Component
from traiNNer.traits import ArchTraits, Precision
from traiNNer.utils.host_memory import keep_freed_memory

Result = TypeVar("Result")
# Other ranks wait while rank 0 validates and saves; a rank that died is noticed by its closed connection.
PATIENCE = timedelta(hours=4)


@dataclass(frozen=True)
class Device:
    """The device that a run takes by itself: its kind, its name, why it is taken, and what torch says of it.

    `memory` is the device's own memory in bytes, None where it has none or does not tell; `built_for` is what the
    installed torch can use besides the CPU (`CUDA 12.8`); `architecture` is the card's generation (`sm_90`).
    """

    kind: Literal["cuda", "mps", "cpu"]
    name: str
    why: str
    threads: int
    index: int | None = None
    count: int = 0
    memory: int | None = None
    built_for: str | None = None
    architecture: str | None = None

    @property
    def handle(self) -> torch.device:
        """What torch calls it."""
        return torch.device(self.kind) if self.index is None else torch.device(self.kind, self.index)


def find_device() -> Device:
    """Return the device that a run takes by itself. Computes nothing and draws nothing on it."""
    threads, built_for = torch.get_num_threads(), _built_for()
    if torch.cuda.is_available():
        index = int(os.environ.get("LOCAL_RANK", "0"))
        card = torch.cuda.get_device_properties(index)
        memory, count = card.total_memory, torch.cuda.device_count()
        architecture = None if torch.version.hip else f"sm_{card.major}{card.minor}"
        why = "CUDA is available"
        return Device("cuda", card.name, why, threads, index, count, memory, built_for, architecture)
    if torch.backends.mps.is_available():
        return Device("mps", "Apple GPU", "MPS is available, CUDA is not", threads, count=1, built_for=built_for)
    return Device("cpu", "CPU", "no CUDA or MPS device found", threads, built_for=built_for)


def why_no_cuda() -> str:
    """Return what torch says when it is told to use CUDA, e.g. that the driver is too old; empty if it can."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).split(". ")[0].partition("\n")[0]
    return ""


def _built_for() -> str | None:
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return "MPS" if torch.backends.mps.is_built() else None


class Runtime:
    """Device, precision, memory format and ranks of a run; `about` says in one line which and why."""

    def __init__(
        self,
        device: torch.device,
        about: str,
        half: torch.dtype | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        use_compile: bool = False,
        deterministic: bool = False,
    ) -> None:
        self.device = device
        self.about = about
        self.half = half
        self.memory_format = memory_format
        self.use_compile = use_compile
        self.deterministic = deterministic
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        # Messages between ranks travel beside the device, so that asking for them never waits for it.
        self._messages: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if self.world > 1 else None
        # fp16 has a narrow range, so its gradients are scaled; bf16 has float32's range and needs no scaler.
        self.scaler = torch.amp.GradScaler(device.type) if half is torch.float16 else None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    @property
    def reads_are_free(self) -> bool:
        """Whether looking at a tensor's value costs no device synchronization."""
        return self.device.type == "cpu"

    # Networks and batches

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device and memory format, in place; every rank starts from rank 0's values."""
        network.to(self.device)
        network.to(memory_format=self.memory_format)
        if self.world > 1:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)
        return network

    def upscaler(self, network: nn.Module) -> Upscaler:
        """Return the network as a function in the run's precision: float32 in, float32 out, autocast only inside."""
        run: Any = torch.compile(network) if self.use_compile else network
        if self.half is None:
            return run

        def in_half_precision(lq: Tensor) -> Tensor:
            with torch.autocast(self.device.type, self.half):
                output = run(lq)
            return output.float()

        return in_half_precision

    def move(self, batch: Batch) -> Batch:
        """Bring a batch of 8 or 16 bit images to the device as float32 in [0, 1]; the conversion happens there."""
        return batch.map(self.to_float)

    def to_float(self, images: Tensor) -> Tensor:
        """Turn B, [T,] H, W, 3 integer images into B, [T,] 3, H, W float32 in [0, 1] on the device.

        They come in the memory format, but for clips, which channels last does not know.
        """
        peak = 255.0 if images.dtype is torch.uint8 else 65535.0
        planes = images.to(self.device, non_blocking=True).movedim(-1, -3)
        memory_format = self.memory_format if planes.ndim == 4 else torch.contiguous_format
        return planes.to(torch.float32).div_(peak).contiguous(memory_format=memory_format)

    # Gradients and updates

    def backward(self, loss: Tensor, inputs: list[Tensor] | None = None) -> None:
        """Add the gradient of one micro-batch's loss: to every parameter, or to `inputs` alone."""
        (self.scaler.scale(loss) if self.scaler else loss).backward(inputs=inputs)

    def gradient(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Return the gradient of one loss by itself as one vector, up to the factor of the fp16 scaling."""
        scaled = self.scaler.scale(loss) if self.scaler else loss
        parts = torch.autograd.grad(scaled, parameters, retain_graph=True, allow_unused=True)
        return torch.cat([part.flatten() for part in parts if part is not None] or [loss.new_zeros(1)])

    def mean_norms(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the norm of every vector, averaged over the ranks as gradients are."""
        self._average(list(gradients.values()))
        return {name: gradient.norm() for name, gradient in gradients.items()}

    def mean_over_ranks(self, values: Tensor) -> Tensor:
        """Return the mean over the ranks of a tensor of numbers."""
        self._average([values])
        return values

    def finish_gradients(self, optimizer: Optimizer, gradients: Sequence[Tensor]) -> None:
        """Average the gradients over the ranks and undo the fp16 scaling; now they may be clipped."""
        self._average(gradients)
        if self.scaler:
            self.scaler.unscale_(optimizer)

    def share_statistics(self, buffers: Sequence[Tensor], before: Sequence[Tensor]) -> None:
        """Let every rank's running statistics move by the mean of the ranks' moves, as one large batch would.

        Differences are averaged, not values: what did not move stays exactly as it is.
        """
        if self.world == 1:
            return
        pairs = [(b, old) for b, old in zip(buffers, before, strict=True) if b.is_floating_point()]
        moves = [buffer - old for buffer, old in pairs]
        self._average(moves)
        for (buffer, old), move in zip(pairs, moves, strict=True):
            buffer.copy_(old + move)

    def _average(self, tensors: Sequence[Tensor]) -> None:
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat.div_(self.world)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_ranks(self, flag: Tensor) -> Tensor:
        """Return a boolean scalar that is true only if it is true on every rank."""
        if self.world == 1:
            return flag
        number = flag.to(torch.int32)
        dist.all_reduce(number, dist.ReduceOp.MIN)
        return number.bool()

    def update(self, optimizer: Optimizer, finite: Tensor) -> None:
        """Let the optimizer step unless `finite` is false; where reading it costs a wait, the device decides."""
        if self.reads_are_free or not optimizer.defaults.get("fused"):
            if bool(finite):
                optimizer.step()
        else:
            # Fused optimizers look at `found_inf` on the device; it is how torch's own scaler skips an update.
            optimizer.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]
            optimizer.found_inf = (~finite).float()  # pyright: ignore[reportAttributeAccessIssue]
            optimizer.step()

    def finish_step(self) -> None:
        """Let the fp16 scale follow what the gradients of all learners showed; once a step."""
        if self.scaler:
            # The scaler's own `step` is not used: it knows only the gradients, which can be finite where a loss is not.
            self.scaler.update()

    # Ranks

    def from_main(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0, group=self._messages)
        return box[0]

    def on_main(self, work: Callable[[], Result]) -> Result:
        """Do something on rank 0 only. Its result, or the `RunError` that it ended with, reaches every rank."""
        result: Any = None
        error: RunError | None = None
        if self.is_main:
            try:
                result = work()
            except RunError as caught:
                error = caught
        result, error = self.from_main((result, error))
        if error is not None:
            raise error
        return result

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value, in rank order."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=self._messages)
        return values

    def max_over_ranks(self, number: int) -> int:
        """Return the largest of the ranks' numbers: how a signal on one rank reaches all."""
        if self.world == 1:
            return number
        box = torch.tensor(number)
        dist.all_reduce(box, dist.ReduceOp.MAX, group=self._messages)
        return int(box)

    def close(self) -> None:
        """Leave the process group."""
        if dist.is_initialized():
            dist.destroy_process_group()

    # Randomness and environment

    def rng_state(self) -> dict[str, Any]:
        """Return the state of every global random generator as plain lists and tensors."""
        numpy_state: Any = np.random.get_state()
        algorithm, keys, *rest = numpy_state
        state = {
            "torch": torch.get_rng_state(),
            "numpy": [algorithm, keys.tolist(), *rest],
            "python": list(random.getstate()[1]),
        }
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def set_rng_state(self, state: dict[str, Any]) -> None:
        """Restore what `rng_state` returned."""
        torch.set_rng_state(state["torch"])
        algorithm, keys, *rest = state["numpy"]
        np.random.set_state((algorithm, np.array(keys, dtype=np.uint32), *rest))
        random.setstate((3, tuple(state["python"]), None))
        if "cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def rng_snapshot(self) -> list[Tensor]:
        """Return the state of the generators that a network draws from: quicker than `rng_state`."""
        states = [torch.get_rng_state()]
        return states + ([torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else [])

    def restore_rng(self, states: Sequence[Tensor] | None) -> None:
        """Restore what `rng_snapshot` returned, so that a step done again draws the same numbers."""
        if states:
            torch.set_rng_state(states[0])
        if states and self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)

    @contextmanager
    def inference_with_saved_rng(self) -> Iterator[None]:
        """Run a block without gradients whose random draws leave no trace."""
        state = self.rng_state()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.set_rng_state(state)

    # Memory

    @property
    def has_memory(self) -> bool:
        """Whether the device tells how much of its memory is in use."""
        return self.device.type == "cuda"

    def memory(self) -> Memory | None:
        """Return the peak memory use since the last call, and start anew; None where the device does not tell.

        With several ranks it is that of the fullest device; all ranks have to ask.
        """
        if not self.has_memory:
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        peak, now = torch.cuda.max_memory_reserved(self.device), torch.cuda.memory_reserved(self.device)
        retries = torch.cuda.memory_stats(self.device).get("num_alloc_retries", 0)
        torch.cuda.reset_peak_memory_stats(self.device)
        return fullest(self.gather(Memory(total, total - free + peak - now, peak, retries)))

    def release_memory(self) -> None:
        """Give memory that is not in use back to the device."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def environment(self) -> dict[str, str | int]:
        """Return what must be equal for two runs to give the same bits."""
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return {
            "torch": str(torch.__version__),
            "device": device,
            "processor": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "number of ranks": self.world,
            "precision": str(self.half or torch.float32).removeprefix("torch."),
            "memory format": str(self.memory_format).removeprefix("torch."),
            "compiled": self.use_compile,
            "deterministic": self.deterministic,
            "fast_matmul": torch.get_float32_matmul_precision() != "highest",
        }


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's state, with every moment in the memory format of its parameter.

    torch keeps the strides of the file, and its fused optimizers walk through memory without looking at strides.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def fullest(ranks: Sequence[Memory]) -> Memory:
    """Return what one device would show that is as full as the fullest of several."""
    total = min(memory.total for memory in ranks)
    used, reserved, retries = (max(getattr(m, name) for m in ranks) for name in ("used", "reserved", "retries"))
    return Memory(total, used, reserved, retries)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that the device, or the host, has no memory left."""
    signs = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs))


def may_be_out_of_memory(error: BaseException | None) -> bool:
    """Whether doing it again in smaller parts may help: also what cuDNN says when its workspace finds no room."""
    return is_out_of_memory(error) or (isinstance(error, RuntimeError) and "CUDNN_STATUS_NOT_SUPPORTED" in str(error))


def start_runtime(options: CommonOptions) -> tuple[Runtime, list[str]]:
    """Choose the device, set the global switches and seeds, join the ranks. Returns the runtime and warnings.

    A precision or memory layout that the network does not declare is not used; a warning names what is used instead.

    Raises:
        ConfigError: `num_gpu` or `dist` ask for what this machine or start does not offer.
    """
    warnings: list[str] = []
    if options.dist:
        _join_ranks(options)
    device, about = _choose_device(options)
    half = _choose_precision(options, device, warnings)
    _set_switches(options, device)
    if device.type == "cpu":
        keep_freed_memory()
    runtime = Runtime(
        device,
        about,
        half=half,
        memory_format=_choose_layout(options, warnings),
        use_compile=options.use_compile,
        deterministic=options.deterministic,
    )
    # The ranks start from equal weights (rank 0's) but draw different numbers afterwards.
    torch.manual_seed(options.manual_seed + runtime.rank)
    np.random.seed((options.manual_seed + runtime.rank) % 2**32)
    random.seed(options.manual_seed + runtime.rank)
    return runtime, warnings


def _join_ranks(options: CommonOptions) -> None:
    if "RANK" not in os.environ:
        raise ConfigError(
            "dist: true needs processes started by torchrun, e.g. "
            "`torchrun --nproc_per_node 2 train.py -opt …`; for one process set dist: false"
        )
    wants_gpu = options.num_gpu != 0 and torch.cuda.is_available()
    dist.init_process_group("nccl" if wants_gpu else "gloo", timeout=PATIENCE)


def _choose_device(options: CommonOptions) -> tuple[torch.device, str]:
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
    threads = f", {torch.get_num_threads()} threads" if device.kind == "cpu" else ""
    reason = f"{'num_gpu is 1, but ' if wanted and device.kind == 'cpu' else ''}{device.why}"
    return device.handle, f"Device: {device.name}{threads} ({reason})"


def _archs(options: CommonOptions) -> list[Component[ArchTraits]]:
    """Return the archs of all networks of the run; they share one precision and one layout."""
    choices = [options.network_g]
    if isinstance(options, TrainOptions) and options.network_d:
        choices.append(options.network_d)
    return [ARCHS[choice.type] for choice in choices]


def _choose_precision(options: CommonOptions, device: torch.device, warnings: list[str]) -> torch.dtype | None:
    if not options.use_amp:
        return None
    archs = _archs(options)
    wanted: Precision = "bf16" if options.amp_bf16 else "fp16"
    unable = [arch.name for arch in archs if wanted not in arch.traits.precisions]
    bf16_works = all("bf16" in arch.traits.precisions for arch in archs)
    advice = " (amp_bf16: true works)" if bf16_works else ""
    if unable:
        warnings.append(f"{unable[0]} does not work in {wanted}: use_amp is ignored, computing in float32{advice}")
        return None
    if wanted == "bf16":
        return torch.bfloat16
    if device.type == "cpu":
        warnings.append(f"use_amp with fp16 is not available on the CPU: training in float32{advice}")
        return None
    return torch.float16


def _choose_layout(options: CommonOptions, warnings: list[str]) -> torch.memory_format:
    if not options.use_channels_last:
        return torch.contiguous_format
    unable = [arch.name for arch in _archs(options) if "nhwc" not in arch.traits.layouts]
    if unable:
        warnings.append(f"{unable[0]} does not work in channels_last: use_channels_last is ignored")
        return torch.contiguous_format
    return torch.channels_last


def _set_switches(options: CommonOptions, device: torch.device) -> None:
    torch.set_float32_matmul_precision("high" if options.fast_matmul else "highest")
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = options.fast_matmul
        torch.backends.cudnn.benchmark = not options.deterministic
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
