"""Stages of one option file: what each of them is after the options are put over each other."""

import pytest
import yaml
from runkit import base_options, merged

import traiNNer.run.build  # noqa: F401 - registers every component
from traiNNer.config.stages import has_stages, load_stages
from traiNNer.errors import ConfigError

STAGES = {
    "stages": [
        {"name": "fidelity", "train": {"total_iter": 6}},
        {
            "name": "gan",
            "start_from": "last",
            "network_d": {"type": "dunet"},
            "train": {
                "optim_g": {"lr": 1e-4},
                "optim_d": {"type": "Adam", "lr": 1e-4},
                "scheduler": {"type": "ConstantLR"},
                "losses": [{"type": "L1Loss"}, {"type": "ganloss", "loss_weight": 0.1}],
            },
        },
    ]
}


@pytest.fixture
def write(tmp_path):
    def write(changes):
        path = tmp_path / "options.yml"
        path.write_text(yaml.safe_dump(merged(base_options(), changes), sort_keys=False))
        return path

    return write


def test_each_stage_is_the_file_with_its_own_options_over_it(write):
    path = write(STAGES)
    assert has_stages(path)
    fidelity, gan = load_stages(path)
    assert (fidelity.name, gan.name) == ("fidelity", "gan")
    assert (fidelity.start_from, gan.start_from) == ("best", "last")
    one, two = fidelity.loaded.options, gan.loaded.options
    assert (one.name, two.name) == ("fidelity", "gan")
    assert one.path.experiments_root == two.path.experiments_root == "experiments/run"
    assert (one.train.total_iter, two.train.total_iter) == (6, 12)
    assert one.network_d is None
    assert one.model is None
    assert two.model.type == "adversarial"
    assert (two.train.optim_g.type, two.train.optim_g.options.lr) == ("adamw", 1e-4)
    assert [loss.type for loss in two.train.losses] == ["l1loss", "ganloss"]
    # Another component takes the place of the whole section; the milestones of the file are not its options.
    assert (one.train.scheduler.type, two.train.scheduler.type) == ("multisteplr", "constantlr")


def test_overrides_count_for_all_stages_or_for_one(write):
    path = write(STAGES)
    stages = load_stages(path, ("train.total_iter=3", "stages.gan.train.total_iter=4"))
    assert [stage.loaded.options.train.total_iter for stage in stages] == [3, 4]
    with pytest.raises(ConfigError, match="no such stage   known: fidelity, gan"):
        load_stages(path, ("stages.gun.train.total_iter=4",))


def test_name_is_that_of_the_whole_run(write):
    """As the name of every stage it would put all of them into one folder."""
    stages = load_stages(write(STAGES), ("name=other",))
    assert [stage.loaded.options.name for stage in stages] == ["fidelity", "gan"]
    assert {stage.loaded.options.path.experiments_root for stage in stages} == {"experiments/other"}
    with pytest.raises(ConfigError, match="name"):
        load_stages(write(STAGES), ("name=a/../b",))


def test_weights_to_start_from_become_an_option(write):
    stages = load_stages(write(STAGES), (), (None, "a folder/net: g.pth"))
    assert [stage.loaded.options.path.pretrain_network_g for stage in stages] == [None, "a folder/net: g.pth"]


def test_problem_names_the_line_of_the_stage(write):
    path = write({"stages": [{"name": "a", "train": {"total_iters": 5}}]})
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "total_iters" in text)
    with pytest.raises(ConfigError, match=rf"line {line}.*total_iters"):
        load_stages(path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"stages": "gan"}, "must be a list of stages"),
        ({"stages": ["gan"]}, "must be a section"),
        ({"stages": [{"name": "a/b"}]}, "is not allowed"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "is the name of two stages: a"),
        ({"stages": [{"name": "a", "start_from": "best"}]}, "has no stage before it"),
        ({"stages": [{"name": "a"}, {"name": "b", "start_from": "first"}]}, "must be best .* or last"),
        ({"stages": [{"name": "a"}], "path": {"models": "here"}}, "would mix up the files of the stages"),
    ],
)
def test_stages_that_cannot_be_are_refused(write, changes, text):
    with pytest.raises(ConfigError, match=text):
        load_stages(write(changes))


def test_stage_without_a_name_has_a_number(write):
    assert [stage.name for stage in load_stages(write({"stages": [{}, {}]}))] == ["stage_1", "stage_2"]


def test_plain_file_has_none(write):
    assert not has_stages(write({}))
    assert not has_stages(write({"stages": []}))  # as every resolved.yml has it
