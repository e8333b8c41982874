from runkit import REPOSITORY

from traiNNer.utils import shipped
from traiNNer.utils.shipped import SCHEMA, copy_options, schema_line, shipped_options


def test_checkout_has_them_beside_the_package_and_an_installation_inside(tmp_path, monkeypatch):
    assert shipped_options() == REPOSITORY / "options"
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    (tmp_path / "options").mkdir()
    assert shipped_options() == tmp_path / "options"


def test_missing_files_are_written_and_others_kept(tmp_path):
    own = tmp_path / "options/2x_compact.yml"
    own.parent.mkdir()
    own.write_text("mine")
    written = copy_options(tmp_path / "options")
    names = {path.relative_to(tmp_path / "options").as_posix() for path in written}
    source = REPOSITORY / "options"
    assert names | {"2x_compact.yml"} == {path.relative_to(source).as_posix() for path in source.rglob("*.*")}
    assert {SCHEMA, f"test/{SCHEMA}"} <= names
    assert own.read_text() == "mine"
    assert copy_options(tmp_path / "options") == []


def test_schema_of_a_file_is_the_nearest_else_the_installed_one(tmp_path):
    assert schema_line(tmp_path / "my.yml").endswith(f"$schema={(REPOSITORY / 'options' / SCHEMA).as_uri()}")
    copy_options(tmp_path / "options")
    assert schema_line(tmp_path / "my.yml") == "# yaml-language-server: $schema=options/options.schema.json"
    assert schema_line(tmp_path / "options/train/my.yml").endswith("$schema=../options.schema.json")
