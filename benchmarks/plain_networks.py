"""The networks of `train_step.py` as their descriptions read, on the weights of ours: what a plain framework trains."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainTransformer(nn.Module):
    """The dynamic transformer with one group per sample and channel."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch alone."""
        layer = self.layer
        x = layer.project_in(x)
        batch, channels, height, width = x.shape
        kernels = layer.kernel_generator.predictor(x).reshape(batch, channels, 3, 3)
        with torch.no_grad():
            mean = kernels.mean(0).unsqueeze(1)
            if layer.tracked_initialized:
                layer.tracked_kernel.lerp_(mean, layer.kernel_momentum)
            else:
                layer.tracked_kernel.copy_(mean)
                layer.tracked_initialized.fill_(True)
        planes, groups = x.reshape(1, batch * channels, height, width), batch * channels
        x = F.conv2d(planes, kernels.reshape(groups, 1, 3, 3), padding=1, groups=groups)
        return layer.project_out(F.leaky_relu(x.reshape(batch, channels, height, width), 0.1))


def plain_scale(x: Tensor, gamma: Tensor) -> Tensor:
    return (x.permute(0, 2, 3, 1).contiguous() * gamma).permute(0, 3, 1, 2).contiguous()


class PlainNano(nn.Module):
    """The forward pass of the published description, line by line, on the weights of our network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Map B, 3, H, W to B, 3, 2H, 2W."""
        n = self.network
        f = n.conv_in(x)
        g = f
        for group in n.body:
            start = g
            for block in group.blocks:
                g = g + plain_scale(block.context(g), block.ls1.gamma)
                g = g + plain_scale(PlainTransformer(block.transformer)(g), block.ls2.gamma)
            g = g + start
        u = n.conv_fuse(g) + f
        up = n.magic_upsampler
        u = u + up.alpha * (up.sharpen(u) - u)
        u = up.resample_conv(F.interpolate(u, scale_factor=float(n.scale), mode="nearest"))
        h = n.hr_conv_in(u)
        for block in n.hr_head:
            h = h + block.conv2(F.leaky_relu(block.conv1(h), 0.1))
        return n.conv_out(h)


def plain_span(network: nn.Module) -> nn.Module:
    """Return SPAN with every triple convolution computed as the four that hold its weights."""
    from spandrel.architectures.SPAN import SPAN

    original = SPAN(**network.hyperparameters)  # pyright: ignore[reportCallIssue]
    original.load_state_dict(network.state_dict())
    for name, parameter in network.named_parameters():
        original.get_parameter(name).requires_grad_(parameter.requires_grad)
    return original


PLAIN = {"paragonsr2_nano": PlainNano, "compact": lambda network: network, "span": plain_span}
"""By the name of a network, what makes its plain form."""
