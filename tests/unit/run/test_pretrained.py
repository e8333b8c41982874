"""Pretrained weights of a run."""

import pytest
import torch

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.run.build import build_networks
from traiNNer.run.pretrained import (
    learning_rate_advice,
    load_all_given_weights,
    load_given_weights,
    starting_network,
)


@pytest.fixture
def saved(loaded, place):
    """Return options with a weights file, the network that wrote it, and one with other weights."""
    options = loaded("path.pretrain_network_g=w.pth").options
    origin = build_networks(options)["net_g"]
    other = build_networks(options.model_copy(update={"manual_seed": 1}))["net_g"]
    with torch.no_grad():
        for parameter in origin.parameters():
            parameter.add_(1)
    torch.save(origin.state_dict(), place / "w.pth")
    return options, origin, other


def test_no_changes_without_a_file(loaded, book):
    options = loaded().options
    network = build_networks(options)["net_g"]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_given_weights(network, options, book)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert (book.infos, book.warnings) == ([], [])


def test_weights_match_the_file_and_are_logged(saved, book):
    options, origin, network = saved
    load_given_weights(network, options, book)
    for name, tensor in origin.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert book.infos[0].startswith("w.pth: ")


def test_key_of_the_file_is_used(saved, book, place):
    options, origin, network = saved
    torch.save({"params_ema": origin.state_dict(), "params": network.state_dict()}, place / "w.pth")
    chosen = options.path.model_copy(update={"param_key_g": "params_ema"})
    load_given_weights(network, options.model_copy(update={"path": chosen}), book)
    assert torch.equal(network.state_dict()["conv_in.weight"], origin.state_dict()["conv_in.weight"])


@pytest.mark.parametrize(("strict", "option"), [(True, False), (False, True), (False, False)])
def test_partial_match_is_refused_in_strict_mode(saved, book, place, strict, option):
    options, origin, network = saved
    state = origin.state_dict()
    del state["conv_out.bias"]
    torch.save(state, place / "w.pth")
    path = options.path.model_copy(update={"strict_load_g": option})
    options = options.model_copy(update={"path": path})
    if strict or option:
        with pytest.raises(ConfigError, match=r"^path\.pretrain_network_g: w\.pth does not fit"):
            load_given_weights(network, options, book, strict)
    else:
        load_given_weights(network, options, book, strict)
        assert torch.equal(network.state_dict()["conv_in.weight"], origin.state_dict()["conv_in.weight"])


def test_missing_file_is_reported_with_its_option(loaded, book):
    options = loaded("path.pretrain_network_g=none.pth").options
    with pytest.raises(ConfigError, match=r"^path\.pretrain_network_g: .*none\.pth"):
        load_given_weights(build_networks(options)["net_g"], options, book)


@pytest.mark.parametrize(
    ("optimizer", "advice"),
    [
        ("{type: AdamW, lr: 1e-4}", ""),
        ("{type: AdamW, lr: 2e-4}", "lr 0.0002 suits weights that begin at random (compact: 0.0002)"),
        ("{type: Muon, lr: 2.5e-3}", ""),
        ("{type: Muon, lr: 5e-3}", "begin with 0.0005 to 0.0025."),
    ],
)
def test_learning_rate_of_a_start_from_nothing_is_pointed_out(loaded, optimizer, advice):
    options = loaded("network_g={type: compact}", f"train.optim_g={optimizer}").options
    found = learning_rate_advice(options)
    assert advice in found
    assert bool(found) == bool(advice)


GAN = (
    "network_d={type: unetdiscriminatorsn, num_feat: 4}",
    "train.optim_d={type: Adam, lr: 1e-4}",
    "train.losses=[{type: L1Loss}, {type: ganloss}]",
    "path.pretrain_network_d=d.pth",
)


def test_discriminator_has_weights_to_start_from_too(loaded, place, book):
    options = loaded(*GAN).options
    torch.manual_seed(1)
    origin, networks = build_networks(options)["net_d"], build_networks(options)
    torch.save({"params": origin.state_dict()}, place / "d.pth")
    before = {name: tensor.clone() for name, tensor in networks["net_g"].state_dict().items()}
    load_all_given_weights(networks, options, book)
    assert all(
        torch.equal(tensor, networks["net_d"].state_dict()[name]) for name, tensor in origin.state_dict().items()
    )
    assert all(torch.equal(tensor, networks["net_g"].state_dict()[name]) for name, tensor in before.items())
    (line,) = book.infos
    assert line.startswith("d.pth: ")


def test_weights_of_another_discriminator_name_the_key(loaded, place, book):
    options = loaded(*GAN).options
    torch.save({"other.weight": torch.zeros(3)}, place / "d.pth")
    with pytest.raises(ConfigError, match=r"path\.pretrain_network_d: .*Check network_d\.type"):
        load_all_given_weights(build_networks(options), options, book)


def test_network_before_a_gan_is_that_of_the_file(loaded, place):
    runtime = Runtime(torch.device("cpu"), "test")
    assert starting_network(loaded("path.pretrain_network_g=w.pth").options, runtime) is None  # no GAN
    options = loaded(*GAN, "path.pretrain_network_g=w.pth").options
    assert starting_network(options, runtime) is None  # the file is gone
    origin = build_networks(options)["net_g"].eval()
    torch.save(origin.state_dict(), place / "w.pth")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    network = starting_network(options, runtime)
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    found = network.state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in origin.state_dict().items())
