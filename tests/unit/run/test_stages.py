"""Which weights a stage starts from, and which stages are finished."""

import json
from types import SimpleNamespace

import pytest

from traiNNer.errors import ConfigError
from traiNNer.run.result import newest
from traiNNer.run.stages import _finished, _start_of


def stage_of(folder, name="fidelity", start="best", decay=0.9):
    path = dict.fromkeys(("models", "resume_models", "training_states", "log", "visualization"))
    options = SimpleNamespace(
        name=name,
        path=SimpleNamespace(experiments_root=str(folder), **path),
        logger=SimpleNamespace(save_checkpoint_format="safetensors"),
        val=SimpleNamespace(metrics={"lpips": {}, "psnr": {}}),
        train=SimpleNamespace(ema_decay=decay),
    )
    return SimpleNamespace(name=name, start_from=start, loaded=SimpleNamespace(options=options))


@pytest.mark.parametrize(
    ("start", "decay", "file"),
    [
        ("best", 0.9, "net_g_best_lpips.safetensors"),
        ("last", 0.9, "net_g_ema_20.safetensors"),
        ("last", 0.0, "net_g_20.safetensors"),
    ],
)
def test_best_by_the_first_metric_or_the_newest(tmp_path, start, decay, file):
    models = tmp_path / "fidelity/models"
    models.mkdir(parents=True)
    for name in ("net_g_20", "net_g_3", "net_g_ema_20", "net_g_ema_3", "net_g_best_lpips", "net_g_best_psnr"):
        (models / f"{name}.safetensors").touch()
    assert _start_of(stage_of(tmp_path, decay=decay), stage_of(tmp_path, "gan", start)) == str(models / file)
    assert newest(models, "net_g", "safetensors").name == "net_g_20.safetensors"


def test_missing_weights_name_the_stage_to_train_again(tmp_path):
    with pytest.raises(ConfigError, match="which there is not: train stage fidelity again"):
        _start_of(stage_of(tmp_path), stage_of(tmp_path, "gan"))


@pytest.mark.parametrize(
    ("known", "finished"), [(["a"], ["a"]), (["a", "b"], ["a", "b"]), (["x", "b"], []), (["a", "x"], ["a"]), ([], [])]
)
def test_finished_stages_are_the_first_ones_of_the_same_names(tmp_path, known, finished):
    record = tmp_path / "stages.json"
    stages = [stage_of(tmp_path, name) for name in ("a", "b", "c")]
    assert _finished(record, stages) == []
    record.write_text(json.dumps({"finished": known}))
    assert _finished(record, stages) == finished
    record.write_text("{")
    assert _finished(record, stages) == []
