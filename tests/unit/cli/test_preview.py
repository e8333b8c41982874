"""`trainner preview` as a user calls it."""

import pytest
import yaml
from imagekit import write_pairs
from runkit import base_options, merged

from traiNNer.cli import preview
from traiNNer.errors import ConfigError


def test_two_files_are_written(parsed, tmp_path, capsys):
    write_pairs(tmp_path, 3, (20, 24), smooth=True)
    photos = {"type": "singlegtdataset", "dataroot_gt": str(tmp_path / "hr"), "dataroot_lq": None}
    tree = merged(base_options(), {"datasets": {"train": photos | {"degradations": ["blur"]}, "val": photos}})
    (tmp_path / "options.yml").write_text(yaml.safe_dump(tree))
    given = ("-opt", str(tmp_path / "options.yml"), "-n", "2", "-o", str(tmp_path / "out"))
    args = parsed(preview, "preview", *given, "--set", "name=other")
    assert args.run(args) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preview_other.html", "preview_other.png"]
    assert capsys.readouterr().out.count("written: ") == 2


def test_an_impossible_number_of_crops_is_refused(parsed):
    args = parsed(preview, "preview", "-opt", "x.yml", "-n", "0")
    with pytest.raises(ConfigError, match="from 1 to 1000"):
        args.run(args)
