"""Which average of the weights a run keeps: an EMA, that of the optimizer, or none."""

from torch import nn
from torch.optim import Optimizer

from traiNNer.config.options import TrainSection
from traiNNer.engine.weight_average import Average, OptimizerAverage, WeightAverage
from traiNNer.registry import OPTIMIZERS


def build_average(optimizer_type: str, decay: float, network: nn.Module, optimizer: Optimizer) -> Average | None:
    """Build the average of a network's weights; the optimizer's own takes the place of an EMA.

    Args:
        optimizer_type: name of the optimizer.
        decay: of the EMA; 0 for none.
        network: on its device.
        optimizer: of the network's parameters.
    """
    if OPTIMIZERS[optimizer_type].traits.averages:
        return OptimizerAverage(network, optimizer)
    return WeightAverage(network, decay) if decay else None


def average_iter(train: TrainSection) -> float:
    """Return over how many iterations the weights of `net_g` are averaged; 0 where they are not."""
    if OPTIMIZERS[train.optim_g.type].traits.averages:
        return float(train.total_iter)
    return 1 / (1 - train.ema_decay) if train.ema_decay else 0.0
