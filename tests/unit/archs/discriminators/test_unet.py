import pytest
import torch

from traiNNer.archs.discriminators.unet import DUnet, UNetDiscriminatorSN


@pytest.mark.parametrize("kind", [UNetDiscriminatorSN, DUnet])
def test_every_pixel_of_any_size_is_judged(kind):
    assert kind(num_feat=4)(torch.rand(2, 3, 21, 34)).shape == (2, 1, 21, 34)


def test_skip_connections_can_be_left_out():
    x = torch.rand(1, 3, 16, 16)
    torch.manual_seed(0)
    network, other = (
        UNetDiscriminatorSN(num_feat=4).eval(),
        UNetDiscriminatorSN(num_feat=4, skip_connection=False).eval(),
    )
    other.load_state_dict(network.state_dict())
    assert not torch.equal(network(x), other(x))


def test_tensors_are_called_as_in_files_of_real_esrgan():
    names = set(UNetDiscriminatorSN(num_feat=4).state_dict())
    normed = {f"conv{i}.weight_{part}" for i in range(1, 9) for part in ("orig", "u", "v")}
    assert names == {"conv0.weight", "conv0.bias", "conv9.weight", "conv9.bias"} | normed
