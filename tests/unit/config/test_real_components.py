"""The guide and the shipped option files load with the real components."""

from pathlib import Path

import pytest

from traiNNer.config.load import load_options
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.reference.docstrings import option_docs
from traiNNer.config.reference.markdown import options_markdown
from traiNNer.config.stages import has_stages, load_stages
from traiNNer.registry import ARCHS, AUTOMATIONS, DATASETS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "tests" / "data" / "guide.yml"
SHIPPED = sorted((ROOT / "options").rglob("*.yml"))


def test_guide():
    options = load_options(GUIDE, TrainOptions).options
    assert options.network_g.type == "paragonsr2"
    assert options.network_g.options.num_feat == 48
    assert options.network_g.options.use_attention is True
    assert options.train.losses[1].options.layers == ("relu1_2", "relu2_2", "relu3_4")
    assert options.train.optim_g.options.weight_decay == 0.01
    assert options.datasets["train"].options.gt_size == 128


@pytest.mark.parametrize("path", SHIPPED, ids=[path.relative_to(ROOT).as_posix() for path in SHIPPED])
def test_shipped_files_load_without_a_warning(path, tmp_path):
    model = TestOptions if "test" in path.parts[-2] else TrainOptions
    is_staged = model is TrainOptions and has_stages(path)
    every = [stage.loaded for stage in load_stages(path)] if is_staged else [load_options(path, model)]
    for loaded in every:
        assert loaded.warnings == ()
        written = tmp_path / "resolved.yml"
        written.write_text(loaded.effective(), encoding="utf-8")
        assert load_options(written, model).options == loaded.options


def test_every_option_of_every_component_is_described():
    bare = [
        f"{component.name}.{name}"
        for registry in (ARCHS, AUTOMATIONS, DATASETS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES)
        for component in registry
        if getattr(component.builder, "__module__", "traiNNer.").startswith("traiNNer.")  # tests register some too
        for name, text in option_docs(component).items()
        if not text
    ]
    assert bare == []
    assert "### `paragonsr2_nano`" in options_markdown()
