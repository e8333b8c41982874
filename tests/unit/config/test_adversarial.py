"""What an option file with or without a discriminator means."""

import pytest
import yaml
from runkit import base_options, merged

import traiNNer.run.build  # noqa: F401 - registers every component
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError

GAN = {
    "network_d": {"type": "dunet"},
    "train": {"optim_d": {"type": "Adam", "lr": 1e-4}, "losses": [{"type": "L1Loss"}, {"type": "ganloss"}]},
}


def load(folder, changes):
    path = folder / "options.yml"
    path.write_text(yaml.safe_dump(merged(base_options(), changes), sort_keys=False))
    return load_options(path, TrainOptions)


def test_network_d_is_trained_by_the_adversarial_model(tmp_path):
    loaded = load(tmp_path, GAN)
    assert loaded.options.model is not None
    assert loaded.options.model.type == "adversarial"
    assert loaded.warnings == ()
    assert "type: adversarial  # default" in loaded.effective()


def test_turns_may_stand_where_the_community_writes_them(tmp_path):
    changes = merged(GAN, {"train": {"net_d_iters": 2, "net_d_init_iters": 5}})
    model = load(tmp_path, changes).options.model
    assert model is not None
    assert (model.options.net_d_iters, model.options.net_d_init_iters) == (2, 5)
    short = merged(changes, {"model": "Adversarial"})
    assert load(tmp_path, short).options.model.options.net_d_iters == 2


def test_turns_are_options_of_no_other_model(tmp_path):
    with pytest.raises(ConfigError, match="net_d_iters"):
        load(tmp_path, {"train": {"net_d_iters": 2}})


def test_loss_without_a_discriminator_is_an_error_that_says_what_to_add(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.losses\[1\]\.type.*ganloss asks for a discriminator: add network_d"):
        load(tmp_path, {"train": {"losses": [{"type": "L1Loss"}, {"type": "GANLoss", "loss_weight": 0.1}]}})


def test_discriminator_in_place_of_the_network_is_named(tmp_path):
    with pytest.raises(ConfigError, match="dunet judges images, it makes none; it belongs to network_d"):
        load(tmp_path, {"network_g": {"type": "dunet"}})
