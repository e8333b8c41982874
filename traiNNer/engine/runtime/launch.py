"""One process per rank, started on this machine by `--launcher auto`; torchrun does the same and across machines.

Imports nothing large: the process that starts the others only waits for them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal

from traiNNer.errors import RankLost
from traiNNer.utils.printable import printable

LEAVE_S, END_S = 10.0, 20.0
"""How long the other ranks may take to end by themselves when one ended, and after they were asked to."""
POLL_S = 0.1
HOST = "127.0.0.1"
Handler = Callable[[int, FrameType | None], object]


def is_rank() -> bool:
    """Whether this process was started as one rank of several, by torchrun or by `launch`."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def rank_of_process() -> int:
    """Return the number of this process among those of its run, before it has joined them; 0 for one alone."""
    return int(os.environ["RANK"]) if is_rank() else 0


def restarts() -> int:
    """Return how often torchrun has started this run's processes again after one had failed (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def wanted_ranks(num_gpu: int | Literal["auto"]) -> int:
    """Return how many processes `num_gpu` asks for: `auto` one for each CUDA device."""
    if num_gpu != "auto":
        return max(1, num_gpu)
    import torch  # only here: counting devices needs it

    return max(1, torch.cuda.device_count())


def launch(arguments: Sequence[str], ranks: int, listen: Callable[[Handler], object]) -> int:
    """Run `trainner <arguments>` as several ranks, each a process, to their end.

    When one fails, the others end too: by themselves, else they are ended.

    Args:
        arguments: of every rank.
        ranks: how many.
        listen: lets a function answer every stop signal; they are passed on to all ranks.

    Returns:
        The exit code: that of the first rank that failed; of one that was killed, that of `RankLost`.
    """
    common = _environment(ranks)
    command = [sys.executable, "-m", "traiNNer", *arguments]
    # In a session of its own, so that Ctrl+C reaches each once: through this process.
    processes = [
        subprocess.Popen(
            command, env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, start_new_session=os.name == "posix"
        )
        for rank in range(ranks)
    ]

    def pass_on(number: int, _: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    listen(pass_on)
    try:
        first = _wait_for_first(processes)
        if first is not None:
            _end_others(processes)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
    return 0 if first is None else _told(first, processes[first].returncode)


def _environment(ranks: int) -> dict[str, str]:
    """Return the variables by which torch's ranks find each other, and a share of the cores for each."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        port = server.getsockname()[1]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    package = str(Path(__file__).resolve().parents[3])
    return {
        "OMP_NUM_THREADS": str(max(1, cores // ranks)),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
    }


def _wait_for_first(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until a rank fails, and return its number; None when all have ended well."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            # One that was killed is the cause; what the others say of it is not.
            return min(failed, key=lambda rank: (codes[rank] == RankLost.exit_code, (codes[rank] or 0) > 0))
        if None not in codes:
            return None
        time.sleep(POLL_S)


def _end_others(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for wait_s, end in ((LEAVE_S, subprocess.Popen.terminate), (END_S, subprocess.Popen.kill)):
        if _all_end(processes, wait_s):
            return
        _each(processes, end)


def _all_end(processes: Sequence[subprocess.Popen[bytes]], wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while any(process.poll() is None for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _each(processes: Sequence[subprocess.Popen[bytes]], end: Callable[[subprocess.Popen[bytes]], None]) -> None:
    for process in processes:
        if process.poll() is None:
            end(process)


def _told(rank: int, code: int) -> int:
    """Say which rank was killed, which it cannot say itself. Returns the exit code."""
    if code > 0:
        return code
    text = f"rank {rank} was killed by {_name(-code)}; the other ranks were ended. Continue with --auto_resume.\n"
    sys.stderr.write(printable(text))
    return RankLost.exit_code


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
