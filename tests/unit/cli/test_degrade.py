"""`trainner degrade` as a user calls it."""

import pytest
import yaml
from imagekit import write_pairs
from runkit import base_options, merged

from traiNNer.cli import degrade
from traiNNer.errors import ConfigError


def test_lq_images_are_written_and_an_unknown_set_is_refused(parsed, tmp_path, capsys):
    write_pairs(tmp_path, 3, (20, 24), smooth=True)
    photos = {"type": "singlegtdataset", "dataroot_gt": str(tmp_path / "hr"), "dataroot_lq": None}
    tree = merged(base_options(), {"datasets": {"train": photos | {"degradations": ["jpeg"]}, "val": photos}})
    (tmp_path / "options.yml").write_text(yaml.safe_dump(tree))
    given = ("-opt", str(tmp_path / "options.yml"), "-i", str(tmp_path / "hr"), "-o", str(tmp_path / "out"))
    args = parsed(degrade, "degrade", *given)
    assert args.run(args) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000.png", "001.png", "002.png"]
    assert "written: 3 images" in capsys.readouterr().out
    args = parsed(degrade, "degrade", *given, "--of", "test")
    with pytest.raises(ConfigError, match="the file has the sets train, val"):
        args.run(args)
