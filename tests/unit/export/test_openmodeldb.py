import json
import re
from datetime import date

import pytest
from reportkit import event, write
from upscalekit import write_weights

from traiNNer.export.openmodeldb import TO_FILL, entry, model_id
from traiNNer.export.source import open_source
from traiNNer.report.record import read_record

REQUIRED = {
    "name",
    "author",
    "license",
    "tags",
    "description",
    "date",
    "architecture",
    "size",
    "scale",
    "inputChannels",
    "outputChannels",
    "resources",
    "images",
}
OPTIONAL = {"trainingIterations", "trainingBatchSize", "trainingHRSize", "trainingOTF", "dataset"}
"""Of the public schema, as far as it is used here."""
RESOLVED = """\
name: run  # file line 1
datasets:
  train:
    dataroot_gt: photos/hr  # file line 4
    lq_size: 24  # file line 5
    batch_size_per_gpu: 8  # default
    degradations: null  # default
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [("2x_compact", "2x-compact"), ("2xNomos_uni.v2", "2x-Nomos-uni-v2"), ("photos", "2x-photos"), ("2x_", "2x-model")],
)
def test_identifier_is_one_of_the_database(name, found):
    assert model_id(name, 2) == found
    assert re.fullmatch(r"\d+x-[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*", found)


def test_entry_has_the_fields_of_the_schema(tmp_path):
    record = read_record(write(tmp_path / "run", event("train", 400), resolved=RESOLVED))
    files = [("a.onnx", 7, "ab"), ("a.safetensors", 9, "cd"), ("a.torchscript.pt", 9, "ef")]
    found = entry("2x_a", open_source(write_weights(tmp_path)), record, files, date(2026, 1, 2))
    assert REQUIRED <= found.keys() <= REQUIRED | OPTIONAL
    assert (found["name"], found["date"], found["architecture"], found["scale"]) == ("a", "2026-01-02", "compact", 2)
    assert found["resources"] == [
        {"platform": "onnx", "type": "onnx", "size": 7, "sha256": "ab", "urls": []},
        {"platform": "pytorch", "type": "pth", "size": 9, "sha256": "cd", "urls": []},
    ]
    training = {key: found[key] for key in OPTIONAL}
    assert training == {
        "trainingIterations": 400,
        "trainingBatchSize": 8,
        "trainingHRSize": 48,
        "trainingOTF": False,
        "dataset": "GT photos/hr",
    }
    assert json.loads(json.dumps(found)) == found


def test_what_only_the_author_knows_is_left_empty(tmp_path):
    found = entry("a", open_source(write_weights(tmp_path)), None, [], date(2026, 1, 2))
    assert found.keys() == REQUIRED
    assert not any(found[key] for key in TO_FILL if key in found)
