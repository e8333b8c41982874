"""The simulations of one automation by name, to run in a separate process."""

from importlib import import_module

import torch

from benchmarks.automations.rows import Row

SIMULATIONS = ("rate", "clipping", "stopping", "batch", "balance")


def simulate(name: str, quick: bool) -> list[Row]:
    """Run the simulations of one automation on one thread."""
    torch.set_num_threads(1)
    return import_module(f"benchmarks.automations.simulated_{name}").run(quick)
