"""The JSON schema accepts what the loader accepts, checked by a small validator of the keywords it uses."""

import re
from pathlib import Path

import pytest

from traiNNer.config.options import TestOptions
from traiNNer.config.reference.schema import json_schema
from traiNNer.config.yaml.strict import load_yaml

GUIDE = Path(__file__).parents[3] / "data" / "guide.yml"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "required", "enum", "const",
    "additionalProperties", "anyOf", "allOf", "items", "minItems", "maxItems", "pattern", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minLength",
}  # fmt: skip


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def accepts(schema, value, root):
    assert set(schema) <= KNOWN, f"the test's validator does not know {set(schema) - KNOWN}"
    if "$ref" in schema:
        assert schema["$ref"].startswith("#/$defs/")
        if not accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root):
            return False
    checks = {
        "type": lambda name: is_type(value, name),
        "enum": lambda allowed: value in allowed,
        "const": lambda allowed: value == allowed,
        "anyOf": lambda branches: any(accepts(branch, value, root) for branch in branches),
        "allOf": lambda branches: all(accepts(branch, value, root) for branch in branches),
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "minimum": lambda bound: not is_type(value, "number") or value >= bound,
        "maximum": lambda bound: not is_type(value, "number") or value <= bound,
        "exclusiveMinimum": lambda bound: not is_type(value, "number") or value > bound,
        "exclusiveMaximum": lambda bound: not is_type(value, "number") or value < bound,
        "minLength": lambda bound: not isinstance(value, str) or len(value) >= bound,
        "minItems": lambda bound: not isinstance(value, list) or len(value) >= bound,
        "maxItems": lambda bound: not isinstance(value, list) or len(value) <= bound,
        "required": lambda keys: not isinstance(value, dict) or set(keys) <= set(value),
    }
    return (
        all(check(schema[word]) for word, check in checks.items() if word in schema)
        and accepts_keys(schema, value, root)
        and accepts_items(schema, value, root)
    )


def accepts_keys(schema, value, root):
    if not isinstance(value, dict):
        return True
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, item in value.items():
        below = properties.get(key, others)
        if below is False or (isinstance(below, dict) and not accepts(below, item, root)):
            return False
    return True


def accepts_items(schema, value, root):
    if not isinstance(value, list) or "items" not in schema:
        return True
    items = schema["items"]
    pairs = zip(items, value, strict=False) if isinstance(items, list) else ((items, item) for item in value)
    return all(accepts(below, item, root) for below, item in pairs)


def test_guide_and_the_base_file_are_accepted(base):
    schema = json_schema()
    assert accepts(schema, load_yaml(GUIDE.read_text(encoding="utf-8"), "").tree, schema)
    assert accepts(schema, load_yaml(base, "").tree, schema)


ACCEPTED = {
    "letter case": ("TinyNet", "TINY_net"),
    "repeated scale": ("type: TinyNet", "type: TinyNet\n  scale: 2"),
    "metric by type": ("psnr: {}", "a: {type: calculate_psnr, better: lower}"),
    "metric without a value": ("psnr: {}", "psnr:"),
    "val in train": ("val:\n  val_freq: 50\n  metrics:\n    psnr: {}\n", "  val: {val_freq: 3}\n"),
    "schedule": ("  losses:", "  scheduler: {type: MultiStepLR, milestones: [5]}\n  losses:"),
    "several folders": ("data/hr", "[a, b]"),
    "automations": (
        "  total_iter",
        "  training_automations: {IntelligentEarlyStopping: {fallback: {early_stopping: true}},"
        " adaptive_gradient_clipping: , dynamic_loss_scheduling: {enabled: true}}\n  total_iter",
    ),
}
REFUSED = {
    "unknown key": ("total_iter", "totl_iter"),
    "unknown component": ("L1Loss", "L7Loss"),
    "unknown option": ("eps", "esp"),
    "option of another component": ("type: CharbonnierLoss", "type: L1Loss"),
    "wrong type": ("total_iter: 100", "total_iter: many"),
    "bound": ("total_iter: 100", "total_iter: 0"),
    "bound of a component": ("eps: 1e-3", "eps: 0"),
    "missing option": ("    dataroot_lq: data/lr\n", ""),
    "unknown automation": ("  total_iter", "  training_automations: {EarlyStopping: {}}\n  total_iter"),
    "unknown key of a fallback": (
        "  total_iter",
        "  training_automations: {IntelligentEarlyStopping: {fallback: {x: 1}}}\n  total_iter",
    ),
    "unknown option of an automation": (
        "  total_iter",
        "  training_automations: {IntelligentEarlyStopping: {x: 1}}\n  total_iter",
    ),
    "missing section": ("network_g:\n  type: TinyNet\n", ""),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_other_spellings_are_accepted_as_by_the_loader(load, base, change):
    schema = json_schema()
    text = base.replace(*change, 1)
    assert load(text)
    assert accepts(schema, load_yaml(text, "").tree, schema)


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_errors_are_refused_as_by_the_loader(problems, base, change):
    schema = json_schema()
    text = base.replace(*change, 1)
    assert problems(text)
    assert not accepts(schema, load_yaml(text, "").tree, schema)


def test_names_and_texts_for_completion():
    schema = json_schema()
    (tiny,) = [variant for variant in schema["$defs"]["ArchChoice"]["anyOf"] if variant["title"] == "tinynet"]
    assert tiny["properties"]["type"]["anyOf"][0] == {"enum": ["tinynet", "TinyNet"]}
    assert tiny["properties"]["dim"]["description"] == "Channels of every layer."
    assert tiny["properties"]["mode"]["enum"] == ["fast", "slow"]
    assert schema["properties"]["use_amp"]["description"].startswith("Run the network in half precision")
    automations = schema["$defs"]["AutomationOptions"]["properties"]
    assert {"IntelligentEarlyStopping", "intelligent_early_stopping", "enabled"} <= set(automations)
    assert "automations" not in automations
    stopping = schema["$defs"]["IntelligentEarlyStopping"]
    assert stopping["properties"]["preset"]["enum"] == ["convenience", "fidelity"]
    assert stopping["properties"]["enabled"]["description"].startswith("Switch of this automation")
    fallback = schema["$defs"]["IntelligentEarlyStopping.StoppingFallback"]["properties"]["early_stopping"]
    assert fallback["description"] == "Stop by plain patience; false never stops."


def test_test_file(base):
    schema = json_schema(TestOptions)
    text = base[: base.index("train:\n  total")].replace("  train:", "  test:") + "path: {pretrain_network_g: w.pth}\n"
    assert accepts(schema, load_yaml(text, "").tree, schema)
    assert not accepts(schema, load_yaml(base, "").tree, schema)


def test_variants_share_the_schema_of_their_family():
    schema = json_schema(TestOptions)
    branches = schema["$defs"]["ArchChoice"]["anyOf"]
    (span,) = [branch for branch in branches if branch["title"] == "span"]
    assert "span_s" not in [branch["title"] for branch in branches]
    for name in ("span", "span_s", "SPAN_F96"):
        assert accepts(span, {"type": name, "feature_channels": 8}, schema)
    assert not accepts(span, {"type": "span_x"}, schema)
    assert "default" not in span["properties"]["feature_channels"]  # each has another
    assert span["properties"]["norm"]["default"] is False
