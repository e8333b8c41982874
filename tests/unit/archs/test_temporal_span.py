"""TemporalSPAN against its formulas, its own bare weights, and ONNX."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from traiNNer.archs.temporal_span import infer_options
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.registry import ARCHS
from traiNNer.upscaling.network import open_network

SMALL = {"feature_channels": 24, "history_channels": 4, "num_frames": 3}


def network(scale=2, **options):
    torch.manual_seed(0)
    return ARCHS.build("temporalspan", SMALL | options, scale=scale).eval()


def clip(height=13, width=9, frames=3):
    return torch.rand(1, frames, 3, height, width, generator=torch.Generator().manual_seed(1))


def plain(state, name, x):
    """One of its convolutions, as the three in a row beside a 1 x 1 that it is trained as."""
    y = F.conv2d(F.pad(x, (1, 1, 1, 1)), state[f"{name}.conv.0.weight"], state[f"{name}.conv.0.bias"])
    # The bias of the first convolution reaches over the border, as padding comes before it.
    y = F.conv2d(y, state[f"{name}.conv.1.weight"], state[f"{name}.conv.1.bias"])
    y = F.conv2d(y, state[f"{name}.conv.2.weight"], state[f"{name}.conv.2.bias"])
    return y + F.conv2d(x, state[f"{name}.sk.weight"], state[f"{name}.sk.bias"])


def by_hand(state, x, scale):
    """The published formulas, written down once more, in the form of training."""
    frames = [plain(state, name, x[:, at]) for at, name in enumerate(("history_convs.0", "center_conv"))]
    frames.append(plain(state, "history_convs.1", x[:, 2]))
    fused = plain(state, "fusion_conv.1", plain(state, "fusion_conv.0", torch.cat(frames, 1)))
    outputs, inner = [fused], fused
    for number in range(1, 7):
        y = outputs[-1]
        for part in (1, 2, 3):
            name = f"block_{number}"
            y = plain(state, f"{name}.c{part}_r", y)
            y = F.group_norm(y, 8, state[f"{name}.norm{part}.weight"], state[f"{name}.norm{part}.bias"])
            y = y if part == 3 else F.silu(y)
            inner = y if part == 1 else inner
        outputs.append((y + outputs[-1]) * (torch.sigmoid(y) - 0.5))
    joined = torch.cat([fused, plain(state, "conv_2", outputs[-1]), outputs[1], inner], 1)
    joined = F.conv2d(joined, state["conv_cat.weight"], state["conv_cat.bias"])
    return F.pixel_shuffle(F.conv2d(joined, state["upsampler.0.weight"], state["upsampler.0.bias"], padding=1), scale)


def test_forward_is_that_of_the_formulas():
    one = network().train()
    torch.testing.assert_close(one(clip()), by_hand(one.state_dict(), clip(), 2), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(one.eval()(clip()), one.train()(clip()), rtol=1e-3, atol=1e-4)


def test_every_frame_counts_and_the_middle_one_is_made():
    x = clip().requires_grad_()
    network()(x).square().sum().backward()
    assert (x.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()
    plain = network(residual=True, norm=False)
    for parameter in plain.parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(plain(clip()), clip()[:, 1].repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_tiles_are_those_of_the_whole_without_norm():
    one, x = network(norm=False), clip(64, 64)
    reach = 2 + 3 * 6 + 3
    with torch.no_grad():
        whole, part = one(x), one(x[..., 30 - reach :, 30 - reach :])
        torch.testing.assert_close(part[..., 2 * reach :, 2 * reach :], whole[..., 60:, 60:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", [True, False])
def test_bare_weights_say_what_they_are(scale, norm):
    state = network(scale, norm=norm).state_dict()
    found = infer_options(state)
    assert found == {"type": "temporalspan", **SMALL, "norm": norm, "scale": scale}
    assert infer_options({name: value for name, value in state.items() if "history" not in name}) is None


def test_even_number_of_frames_is_refused():
    with pytest.raises(ValidationError, match="must be odd"):
        network(num_frames=4)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # the exporter warns of itself and of what it folds
def test_onnx_computes_the_same_at_other_sizes(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    one, file = network(residual=True), tmp_path / "net.onnx"
    sides = {3: torch.export.Dim("height", min=4, max=4096), 4: torch.export.Dim("width", min=4, max=4096)}
    torch.onnx.export(
        one,
        (clip(16, 12),),
        str(file),
        dynamo=True,
        dynamic_shapes=(sides,),
        input_names=["clip"],
        output_names=["image"],
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for size in ((16, 12), (23, 17), (8, 31)):
        (made,) = session.run(None, {"clip": clip(*size).numpy()})
        with torch.no_grad():
            expected = one(clip(*size))
        torch.testing.assert_close(torch.from_numpy(made), expected, rtol=1e-3, atol=1e-4)
    ready = open_network(file, Runtime(torch.device("cpu"), "test"))
    assert (ready.frames, ready.scale) == (3, 2)
    torch.testing.assert_close(ready.call(clip(8, 31)), expected, rtol=1e-3, atol=1e-4)
