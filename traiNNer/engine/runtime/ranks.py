"""The processes of a run: which one this is, and what they tell each other."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.errors import RankLost, RunError

Result = TypeVar("Result")
# Other ranks wait while rank 0 validates and saves; a rank that died is noticed by its closed connection.
PATIENCE = timedelta(hours=4)


@contextmanager
def lost_rank_named() -> Iterator[None]:
    """Turn the failure of a block of collective calls into `RankLost`: they fail where another rank is gone."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        reason = re.sub(r"\[/\S+\]\s*", "", str(error)).strip().partition("\n")[0].partition(". ")[0]
        raise RankLost(
            f"Another rank ended or cannot be reached ({reason[:150]}). Its own message says why; a rank that was "
            "killed leaves none, and the system mostly kills for memory. Continue with --auto_resume."
        ) from None


class Ranks:
    """The number of this process and of all; one process alone asks nobody."""

    def __init__(self) -> None:
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        # Messages between ranks travel beside the device, so that asking for them never waits for it.
        with lost_rank_named():
            self._messages: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if self.world > 1 else None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    # Messages

    def from_main(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        if self.world == 1:
            return value
        box = [value]
        with lost_rank_named():
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
        with lost_rank_named():
            dist.all_gather_object(values, value, group=self._messages)
        return values

    def share_of(self, count: int, dealt: int = 1) -> list[int]:
        """Return which of `count` pieces of work are this rank's: `dealt` neighbors at a time, in turn."""
        return [place for place in range(count) if place // dealt % self.world == self.rank]

    def max_over_ranks(self, number: int) -> int:
        """Return the largest of the ranks' numbers: how a signal on one rank reaches all."""
        if self.world == 1:
            return number
        box = torch.tensor(number)
        with lost_rank_named():
            dist.all_reduce(box, dist.ReduceOp.MAX, group=self._messages)
        return int(box)

    # Tensors

    def share_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with rank 0's."""
        if self.world > 1:
            with lost_rank_named():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with their mean over the ranks."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with lost_rank_named():
            dist.all_reduce(flat)
        flat.div_(self.world)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def mean_over_ranks(self, values: Tensor) -> Tensor:
        """Return the mean over the ranks of a tensor of numbers."""
        self.average([values])
        return values

    def share_statistics(self, buffers: Sequence[Tensor], before: Sequence[Tensor]) -> None:
        """Let every rank's running statistics move by the mean of the ranks' moves, as one large batch would.

        Differences are averaged, not values: what did not move stays exactly as it is.
        """
        if self.world == 1:
            return
        pairs = [(b, old) for b, old in zip(buffers, before, strict=True) if b.is_floating_point()]
        moves = [buffer - old for buffer, old in pairs]
        self.average(moves)
        for (buffer, old), move in zip(pairs, moves, strict=True):
            buffer.copy_(old + move)

    def all_ranks(self, flag: Tensor) -> Tensor:
        """Return a boolean scalar that is true only if it is true on every rank."""
        if self.world == 1:
            return flag
        number = flag.to(torch.int32)
        with lost_rank_named():
            dist.all_reduce(number, dist.ReduceOp.MIN)
        return number.bool()

    def close(self) -> None:
        """Leave the process group."""
        if dist.is_initialized():
            dist.destroy_process_group()
