from runkit import REPOSITORY

from traiNNer.cli.main import main


def test_photos_and_option_files_are_written_and_the_next_command_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Demo set: 5 photos to train on")
    files = len(list((REPOSITORY / "options").rglob("*.*")))
    assert said[1:] == [f"Option files: {files}, in options", "Next: trainner train -opt options/2x_compact.yml"]
    assert (tmp_path / "options/2x_compact.yml").is_file()
    assert main(["demo"]) == 0
    assert "Option files" not in capsys.readouterr().out
