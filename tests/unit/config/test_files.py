import os
from pathlib import Path

import pytest

from traiNNer.config.files import missing_message, read_text
from traiNNer.errors import ConfigError


def test_byte_order_marks_are_ignored(tmp_path):
    path = tmp_path / "a.yml"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text("é: 1", encoding=encoding)
        assert read_text(path) == "é: 1"


@pytest.mark.parametrize(("data", "words"), [(b"a\nb\n\xe9", "line 3 is not UTF-8 text"), (b"#" * 1_048_577, "1 MB")])
def test_non_option_file_is_refused(tmp_path, data, words):
    path = tmp_path / "a.yml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words):
        read_text(path)


def test_folder_is_not_a_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder, not an option file"):
        read_text(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipe_or_device_is_refused_without_reading_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.yml")
    for path in (tmp_path / "pipe.yml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is a pipe or a device, not an option file"):
            read_text(path)


def test_nearest_or_existing_paths_are_suggested(tmp_path):
    (tmp_path / "train.yml").touch()
    (tmp_path / "train.txt").touch()
    path = tmp_path / "trian.yml"
    assert missing_message(path) == f"{path} does not exist; nearest: {tmp_path / 'train.yml'}"
    assert missing_message(tmp_path / "zzz.yml").endswith("; there: train.yml")
    assert missing_message(tmp_path / "zzz.md").endswith("zzz.md does not exist")
    assert missing_message(tmp_path / "x/y/a.yml").endswith(
        f"there is no folder {tmp_path / 'x/y'}; nearest: {tmp_path}"
    )
