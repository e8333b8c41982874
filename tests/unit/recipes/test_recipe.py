"""Recipes are valid option files; those that ship are what the code writes."""

import pytest
import yaml
from imagekit import write_pairs
from runkit import REPOSITORY, run

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.config.stages import has_stages, load_stages
from traiNNer.errors import ConfigError
from traiNNer.recipes.gan import gan_stages
from traiNNer.recipes.recipe import PURPOSES, Places, aligned, text_of, write_recipe
from traiNNer.registry import ARCHS

OF_IMAGES = [name for name, purpose in PURPOSES.items() if not purpose.clips]
SHIPPED = [(arch, purpose) for arch in ("compact", "paragonsr2_nano") for purpose in OF_IMAGES]
SHIPPED.append(("temporalspan", "video"))
PLACES = Places("data/hr", "data/lr", "val/hr", "val/lr", "weights.pth")


@pytest.mark.parametrize(("arch", "purpose"), SHIPPED)
def test_shipped_file_is_what_the_recipe_writes(arch, purpose):
    """After a change, write them anew: `write_recipe(arch, purpose, 2, schema="../options.schema.json")`."""
    path = REPOSITORY / f"options/train/2x_{arch}_{purpose}.yml"
    assert path.read_text(encoding="utf-8") == write_recipe(arch, purpose, 2, schema="../options.schema.json")


@pytest.mark.parametrize(
    ("arch", "purpose"),
    [*((arch, purpose) for arch in ("compact", "ParagonSR2_S") for purpose in OF_IMAGES), ("temporalspan", "video")],
)
def test_file_loads_without_a_warning(tmp_path, arch, purpose):
    path = tmp_path / "my.yml"
    path.write_text(write_recipe(arch, purpose, 4, PLACES), encoding="utf-8")
    stages = [stage.loaded for stage in load_stages(path)] if has_stages(path) else [load_options(path, TrainOptions)]
    loaded = stages[0]
    assert [stage.warnings for stage in stages] == [()] * len(stages)
    options = loaded.options
    assert (options.scale, options.network_g.type) == (4, ARCHS[arch].name)
    assert options.datasets["train"].get("dataroot_gt") == "data/hr"
    photos = PURPOSES[purpose].photos
    assert options.datasets["val"].get("dataroot_lq") == (None if photos else "val/lr")
    assert [bool(options.datasets[name].degradations) for name in ("train", "val")] == [photos, photos]
    assert str(options.path.pretrain_network_g) == ("weights.pth" if purpose == "finetune" else "None")


def test_crops_and_rates_are_those_of_the_arch():
    trees = {purpose: yaml.safe_load(write_recipe("paragonsr2_nano", purpose)) for purpose in OF_IMAGES}
    published = ARCHS["paragonsr2_nano"].traits.recipe
    rates = {purpose: float(tree["train"]["optim_g"]["lr"]) for purpose, tree in trees.items()}
    base = published.lr if published else 5e-4
    assert rates == pytest.approx({"fidelity": base, "finetune": base / 5, "gan": base, "realworld": base})
    for tree in trees.values():
        assert max(tree["train"]["scheduler"]["milestones"]) < tree["train"]["total_iter"]


def test_gan_recipe_has_a_fidelity_stage_and_one_against_a_discriminator(tmp_path):
    path = tmp_path / "my.yml"
    path.write_text(write_recipe("compact", "gan", 2, PLACES), encoding="utf-8")
    first, second = load_stages(path)
    assert (first.name, second.name, second.start_from) == ("fidelity", "gan", "best")
    fidelity, gan = first.loaded.options, second.loaded.options
    assert fidelity.network_d is None
    assert [loss.type for loss in fidelity.train.losses] == ["l1loss"]
    assert gan.network_d is not None
    assert gan.network_d.type == "unetdiscriminatorsn"
    assert [loss.type for loss in gan.train.losses] == ["l1loss", "perceptualloss", "ganloss"]
    assert gan.train.optim_g.get("lr") == min(fidelity.train.optim_g.get("lr") / 5, 1e-4)
    assert gan.train.scheduler == gan.train.scheduler_d
    assert gan.train.scheduler is not None
    assert max(gan.train.scheduler.get("milestones")) < gan.train.total_iter
    assert gan.train.warmup_iter == 0
    assert gan.train.optim_g.get("betas") == (0.9, 0.99)  # of the file


def test_rate_of_the_gan_stage_has_a_limit():
    assert "lr: 0.0001\n" in gan_stages(4e-3)
    assert "lr: 2e-5\n" in gan_stages(1e-4)


def test_what_is_written_passes_the_check(tmp_path):
    """A real `--check`: it opens the images and sends a crop through the network."""
    write_pairs(tmp_path / "data", 2, (160, 160), smooth=True)
    write_pairs(tmp_path / "val", 1, (40, 40), seed=9, smooth=True)
    (tmp_path / "my.yml").write_text(write_recipe("superultracompact", "fidelity", 2, PLACES), encoding="utf-8")
    result = run("train.py", "-opt", "my.yml", "--check", folder=tmp_path)
    assert result.code == 0, result.output
    assert "checked: options, data and shapes are in order" in result.output


def test_unknown_recipe_names_those_that_there_are():
    with pytest.raises(ConfigError, match="no such recipe; known: fidelity, finetune, gan, realworld"):
        write_recipe("compact", "fidelty")


@pytest.mark.parametrize(
    ("arch", "scale", "message"),
    [("compct", None, "did you mean 'compact'"), ("compact", 7, "compact is made for the scales 1, 2, 3, 4")],
)
def test_what_the_arch_cannot_do_is_refused(arch, scale, message):
    with pytest.raises(ConfigError, match=message):
        write_recipe(arch, "fidelity", scale)


@pytest.mark.parametrize(
    "path", ["a b/c", "C:\\photos", "x # y", "1e5", "null", 'say "hi"', "plain/dir_1.x", "~/d", "-x"]
)
def test_every_path_survives(path):
    assert yaml.safe_load(f"key: {text_of(path)}") == {"key": path}


def test_comments_stand_in_one_column():
    assert aligned("# a # b\nkey: 1  # one\nkey: 12345 # two\n") == (
        "# a # b\nkey: 1                        # one\nkey: 12345                    # two\n"
    )


def test_recipe_of_films_is_for_networks_of_clips():
    with pytest.raises(
        ConfigError, match="--recipe video: compact sees single images; networks of clips: temporalspan"
    ):
        write_recipe("compact", "video")
    train = yaml.safe_load(write_recipe("temporalspan", "finetune"))["datasets"]["train"]
    assert (train["type"], train["clip_size"]) == ("PairedVideoDataset", 5)
