"""`trainner docs` writes the generated pages."""

import json

from traiNNer.cli import docs
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.reference.markdown import options_markdown
from traiNNer.config.reference.schema import json_schema

PAGES = ("docs/options.md", "options/options.schema.json", "options/test/options.schema.json")


def written(parsed, folder) -> list[bytes]:
    args = parsed(docs, "docs", "--root", str(folder))
    assert not args.run(args)
    return [(folder / page).read_bytes() for page in PAGES]


def folders(root):
    for page in PAGES:
        (root / page).parent.mkdir(parents=True, exist_ok=True)
    return root


def test_generated_pages_are_up_to_date_with_a_schema_for_each_command(parsed, tmp_path, capsys):
    (folders(tmp_path) / PAGES[0]).write_text("old")
    page, *schemas = written(parsed, tmp_path)
    assert page.decode() == options_markdown()
    assert [json.loads(data) for data in schemas] == [json_schema(TrainOptions), json_schema(TestOptions)]
    assert all(data.endswith(b"}\n") for data in schemas)
    assert capsys.readouterr().out.splitlines() == [f"written: {tmp_path / page}" for page in PAGES]
    train, test = (json.loads(data)["properties"] for data in schemas)
    assert "train" in train
    assert "train" not in test
