"""The generated pages match the code, and the list of options changes only on purpose."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FROZEN = REPOSITORY / "tests/data/option_keys.txt"
# In a separate process, because other tests register components too.
NOW = """
import json
from traiNNer.config.automation_options import OWN_SECTIONS
from traiNNer.config.choice import AutomationChoice
from traiNNer.config.reference.markdown import options_markdown
from traiNNer.config.layout import sections, static_keys
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.reference.schema import json_schema
from traiNNer.registry import ARCHS, AUTOMATIONS, DATASETS, DEGRADATIONS, LOSSES, METRICS, MODELS, SCHEDULES

keys = [f"{at}.{key}".removeprefix(".") for at, model in sections(TrainOptions) for key in static_keys(model)]
for registry in (ARCHS, AUTOMATIONS, DATASETS, DEGRADATIONS, LOSSES, METRICS, MODELS, SCHEDULES):
    for component in registry:
        title = f"{registry.kind} {component.name}"
        if getattr(component.traits, "family", ""):
            keys.append(title)  # its options are those of its family
            continue
        below = sections(component.options, title)
        keys += [f"{at}.{key}" for at, model in below for key in static_keys(model)] or [title]
keys += [f"train.{own}" for own in OWN_SECTIONS]
keys += [f"every automation.{key}" for key in static_keys(AutomationChoice) if key != "type"]
schemas = {"options": json_schema(TrainOptions), "options/test": json_schema(TestOptions)}
print(json.dumps({"page": options_markdown(), "schemas": schemas, "keys": keys}))
"""


@pytest.fixture(scope="module")
def now():
    return json.loads(subprocess.run([sys.executable, "-c", NOW], capture_output=True, check=True, text=True).stdout)


def without_optimizers(text: str) -> str:
    """Drop the chapter that depends on the installed torch."""
    return re.sub(r"## Optimizers.*?(?=\n## )", "", text, flags=re.DOTALL)


def test_option_reference_is_up_to_date(now):
    written = (REPOSITORY / "docs/options.md").read_text(encoding="utf-8")
    assert without_optimizers(written) == without_optimizers(now["page"]), "run `trainner docs`"


@pytest.mark.parametrize("name", ["options", "options/test"])
def test_schema_is_up_to_date(name, now):
    written = json.loads((REPOSITORY / name / "options.schema.json").read_text(encoding="utf-8"))
    schemas = [written, now["schemas"][name]]
    for schema in schemas:
        schema["$defs"].pop("OptimizerChoice", None)
    assert schemas[0] == schemas[1], "run `trainner docs`"


def test_option_list_is_frozen(now):
    """Option names are an interface: changing one requires changing this list, with a reason in the commit."""
    assert now["keys"] == FROZEN.read_text(encoding="utf-8").splitlines()


def test_every_option_is_described():
    written = (REPOSITORY / "docs/options.md").read_text(encoding="utf-8")
    empty = [line for line in written.splitlines() if re.fullmatch(r"\| `.*\|\s*\|", line)]
    assert not empty


def test_page_links_are_valid():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*/README.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
