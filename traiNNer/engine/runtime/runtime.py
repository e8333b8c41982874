"""Where and how precisely a run computes: device, precision, memory format and ranks as one object."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from traiNNer.batch import Batch
from traiNNer.engine.runtime.buckets import GradientAverage
from traiNNer.engine.runtime.in_place import changes_of, step_with_retry, with_retry
from traiNNer.engine.runtime.memory import DeviceMemory, Memory, fullest
from traiNNer.engine.runtime.optimizer import step_if
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory, may_be_out_of_memory
from traiNNer.engine.runtime.precision import in_half_precision
from traiNNer.engine.runtime.ranks import Ranks
from traiNNer.engine.runtime.rng import RandomNumbers
from traiNNer.models.protocol import Upscaler
from traiNNer.utils.processor import cpu_name

BatchDegrade = Callable[[Batch, int], Batch]
"""Makes the degradations of a batch; see `ImageSet.leave_degradations`."""
LAUNCH_BOUND_PIXELS = 256 * 256
"""LQ pixels below which the computation of an image does not fill a device."""


class Runtime(Ranks):
    """Device, precision, memory format, random numbers and ranks; `about` says in one line which device and why."""

    def __init__(
        self,
        device: torch.device,
        about: str,
        half: torch.dtype | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        use_compile: bool = False,
        deterministic: bool = False,
    ) -> None:
        super().__init__()
        self.device = device
        self.about = about
        self.half = half
        self.memory_format = memory_format
        self.use_compile = use_compile
        self.deterministic = deterministic
        self.rng = RandomNumbers(device)
        self._memory = DeviceMemory(device, torch.cuda) if device.type == "cuda" else None
        # fp16 has a narrow range, so its gradients are scaled; bf16 has float32's range and needs no scaler.
        self.scaler = torch.amp.GradScaler(device.type) if half is torch.float16 else None

    @property
    def reads_are_free(self) -> bool:
        """Whether looking at a tensor's value costs no device synchronization."""
        return self.device.type == "cpu"

    @property
    def prefers_batches(self) -> bool:
        """Whether what is done to the images of a batch is better done here, at once, than in the data workers."""
        return self.device.type != "cpu"

    @property
    def scores_images(self) -> bool:
        """Whether images are scored where they are made: CUDA devices have float64, others may not."""
        return self.device.type == "cuda"

    def at_once(self, pixels: int) -> int:
        """Return how many images of so many pixels are computed together where each alone would do.

        On the CPU it is one: there a batch is no quicker than its images, and its maps leave the cache. A device spends
        more time on starting the computation of small images than on the computation.
        """
        return 1 if self.reads_are_free else max(1, LAUNCH_BOUND_PIXELS // max(1, pixels))

    # Networks and batches

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device and memory format, in place; every rank starts from rank 0's values."""
        network.to(self.device)
        network.to(memory_format=self.memory_format)
        self.share_from_main(list(network.state_dict().values()))
        return network

    def upscaler(self, network: nn.Module) -> Upscaler:
        """Return the network as a function in the run's precision: float32 in, float32 out, autocast only inside."""
        run: Any = torch.compile(network) if self.use_compile else network
        return run if self.half is None else in_half_precision(run, self.device, self.half)

    def switch_compiling(self, to: bool) -> None:
        """Compile the networks of all upscalers from here on, or of none."""
        self.use_compile = to

    def move(self, batch: Batch, degrade: BatchDegrade | None = None) -> Batch:
        """Bring a batch of 8 or 16 bit images to the device as float32 in [0, 1]; the conversion happens there.

        So do the degradations, where they are left to it.
        """
        moved = batch.map(self.to_float)
        if degrade is None or not batch.recipe_seeds:
            return moved
        images = batch.lq if batch.lq is not None else batch.gt
        levels = 255 if images is None or images.dtype is torch.uint8 else 65535
        return degrade(moved, levels).map(lambda made: made.contiguous(memory_format=self.memory_format))

    def to_float(self, images: Tensor) -> Tensor:
        """Turn B, [T,] H, W, 3 integer images into B, [T,] 3, H, W float32 in [0, 1] on the device.

        They come in the memory format, but for clips, which channels last does not know.
        """
        peak = 255.0 if images.dtype is torch.uint8 else 65535.0
        planes = images.to(self.device, non_blocking=True).movedim(-1, -3)
        memory_format = self.memory_format if planes.ndim == 4 else torch.contiguous_format
        return planes.to(torch.float32).div_(peak).contiguous(memory_format=memory_format)

    @contextmanager
    def inference_with_saved_rng(self) -> Iterator[None]:
        """Run a block without gradients whose random draws leave no trace.

        Its images have many sizes: cuDNN chooses an algorithm for each, without trying them all out on it.
        """
        tries_out, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
        try:
            with self.rng.saved(), torch.inference_mode():
                yield
        finally:
            torch.backends.cudnn.benchmark = tries_out

    # Gradients and updates

    def backward(self, loss: Tensor, inputs: list[Tensor] | None = None) -> None:
        """Add the gradient of one micro-batch's loss: to every parameter, or to `inputs` alone."""
        (self.scaler.scale(loss) if self.scaler else loss).backward(inputs=inputs)

    def gradient(self, loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Return the gradient of one loss by itself as one vector, up to the factor of the fp16 scaling."""
        scaled = self.scaler.scale(loss) if self.scaler else loss
        parts = torch.autograd.grad(scaled, parameters, retain_graph=True, allow_unused=True)
        return torch.cat([part.flatten() for part in parts if part is not None] or [loss.new_zeros(1)])

    def mean_norms(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the norm of every vector, averaged over the ranks as gradients are."""
        self.average(list(gradients.values()))
        return {name: gradient.norm() for name, gradient in gradients.items()}

    def gradient_average(self, parameters: Sequence[Tensor]) -> GradientAverage:
        """Return what averages the gradients of one learner over the ranks."""
        return GradientAverage(self, parameters)

    def finish_gradients(self, optimizer: Optimizer, gradients: Sequence[Tensor], average: GradientAverage) -> None:
        """Average the gradients over the ranks and undo the fp16 scaling; now they may be clipped."""
        average.finish(gradients)
        if self.scaler:
            self.scaler.unscale_(optimizer)

    def update(self, optimizer: Optimizer, finite: Tensor) -> None:
        """Let the optimizer step unless `finite` is false; where reading it costs a wait, the device decides.

        It is done again if memory ran out before anything was changed.
        """
        step = partial(step_if, finite, optimizer, read=self.reads_are_free)
        step_with_retry(step, optimizer, self.release_memory)

    def change(self, change: Callable[[], None], tensors: Sequence[Tensor]) -> None:
        """Change tensors in place; again if memory ran out before one of them was changed."""
        with_retry(change, partial(changes_of, tensors), self.release_memory)

    def finish_step(self) -> None:
        """Let the fp16 scale follow what the gradients of all learners showed; once a step."""
        if self.scaler:
            # The scaler's own `step` is not used: it knows only the gradients, which can be finite where a loss is not.
            self.scaler.update()

    # Memory

    @property
    def has_memory(self) -> bool:
        """Whether the device tells how much of its memory is in use."""
        return self._memory is not None

    def memory(self) -> Memory | None:
        """Return the peak memory use since the last call, and start anew; None where the device does not tell.

        With several ranks it is that of the fullest device; all ranks have to ask.
        """
        return fullest(self.gather(self._memory.read())) if self._memory else None

    def memory_apart(self) -> AbstractContextManager[None]:
        """Run a block beside the training (validation, probe, warm-up) whose memory does not count as training's."""
        return self._memory.apart() if self._memory else nullcontext()

    def release_memory(self) -> None:
        """Give memory that is not in use back to the device."""
        if self._memory:
            self._memory.release()

    def ran_out_of_memory(self, error: BaseException | None) -> bool:
        """Whether an error says that memory ran out, or may come of it while memory is short."""
        is_short = may_be_out_of_memory(error) and self._memory is not None and self._memory.is_short()
        return is_short or is_out_of_memory(error)

    # Resume

    def environment(self) -> dict[str, str | int]:
        """Return what must be equal for two runs to give the same bits."""
        # Two processors of equal instructions still differ: libraries choose blocks by caches, and code by maker.
        names = {"cuda": lambda: torch.cuda.get_device_name(self.device), "cpu": lambda: f"cpu, {cpu_name()}"}
        device = names.get(self.device.type, lambda: self.device.type)()
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
