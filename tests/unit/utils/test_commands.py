from pathlib import Path

from traiNNer.utils.commands import quoted, train_command


def test_command_is_that_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train_command(Path("my.yml")) == "trainner train -opt my.yml"
    (tmp_path / "train.py").write_text("")
    assert train_command("my run.yml") == "python train.py -opt 'my run.yml'"


def test_argument_stays_on_its_line():
    assert quoted("a\nb") == "'a b'"
    assert quoted("a'b") == """'a'"'"'b'"""
    assert quoted(Path("plain.yml")) == "plain.yml"
