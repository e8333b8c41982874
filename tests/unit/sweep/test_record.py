import pytest

from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.sweep.record import NAME, SweepRecord, Trial


def test_what_is_written_is_read(tmp_path):
    record = SweepRecord.read(tmp_path / "sweep")
    assert record.content.trials == []
    record.content.trials.append(Trial(values={"lr": 0.1, "n": 3, "act": "relu"}, score=31.5))
    record.content.failed["a"] = "diverged"
    record.write()
    assert SweepRecord.read(tmp_path / "sweep") == record


@pytest.mark.parametrize("text", ["{", '{"trials": 3}', '{"trials": [{"score": 1}]}'])
def test_damaged_record_is_named(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ConfigError, match=r"sweep.json cannot be read .*: delete it"):
        SweepRecord.read(tmp_path)


def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CannotWrite, match="Cannot write to"):
        SweepRecord(tmp_path / "file").write()
