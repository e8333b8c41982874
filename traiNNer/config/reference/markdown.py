"""The reference of every option, as Markdown, from the option tree and the registered components themselves."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from traiNNer.config.choice import AutomationChoice
from traiNNer.config.layout import AUTOMATIONS_AT, automations, own_section, parts, place_of, sections, snake_case
from traiNNer.config.options import MetricChoice, TrainOptions
from traiNNer.config.reference.docstrings import summary
from traiNNer.config.reference.schema import component_schema, family_of
from traiNNer.config.tree import key_of
from traiNNer.registry import (
    ARCHS,
    DATASETS,
    DEGRADATIONS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    Component,
    OptionGroup,
    Registry,
    StrictOptions,
)

BOUNDS = {"exclusiveMinimum": "> {}", "minimum": "≥ {}", "exclusiveMaximum": "< {}", "maximum": "≤ {}"}
NAMES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`/`false`",
    "string": "text",
    "null": "null",
}
HEADINGS = {
    "Networks (`network_g`, `network_d`)": ARCHS,
    "Models (`model`)": MODELS,
    "Datasets (`datasets.…`)": DATASETS,
    "Degradations (`datasets.….degradations`)": DEGRADATIONS,
    "Losses (`train.losses`)": LOSSES,
    "Optimizers (`train.optim_g`)": OPTIMIZERS,
    "Schedules (`train.scheduler`)": SCHEDULES,
    "Metrics (`val.metrics.…`)": METRICS,
}
INTRODUCTION = """# Every option

Written by `trainner docs` from the code; do not edit. An option file is YAML; a component is `{type: name, …}` with its
own options beside `type`, its name in any letter case. Numbers and booleans follow YAML 1.2: `1e-4` is a number, only
`true` and `false` are booleans. `--set train.total_iter=200` overrides any key on the command line, and
`--check` prints every effective value with the place it came from. test.py reads the same file without `train`,
`logger` and `auto_resume`; its sets are named `test…` or `val…`, and it needs `path.pretrain_network_g`.
"""


def options_markdown() -> str:
    """Return the whole reference: every section, then every component registered when it is called."""
    return "\n".join([INTRODUCTION, *_section_pages(), *_component_pages()]).rstrip() + "\n"


def words(schema: dict[str, Any]) -> str:
    """Return what a value must be, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(words(branch) for branch in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type")
    if kind == "array":
        return _list_words(schema)
    if kind is None or kind == "object":
        return "section" if kind or "$ref" in schema else "any value"
    bounds = " and ".join(text.format(_number(schema[key])) for key, text in BOUNDS.items() if key in schema)
    return f"{NAMES[kind]} {bounds}".strip()


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _list_words(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"list of {', '.join(words(item) for item in schema['prefixItems'])}"
    return f"list of: {words(schema.get('items', {}))}"


def _section_pages() -> Iterator[str]:
    for place, model in sections(TrainOptions):
        title = f"`{place}`" if place else "Top level"
        yield f"## {title}\n\n{summary(model.__doc__)}\n"
        yield _table([*_static_rows(model), *_automation_list(place)])
        if place == key_of(AUTOMATIONS_AT):
            yield from _automation_pages()


def _automation_list(place: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for every automation whose section stands in the section at `place`."""
    for name, component in automations().items():
        *above, key = place_of(name)
        if key_of(tuple(above)) == place:
            default = "off unless switched on" if own_section(name) else "off unless written"
            yield key, "section", default, summary(component.builder.__doc__)


def _automation_pages() -> Iterator[str]:
    for name, component in automations().items():
        yield f"## `{key_of(place_of(name))}`\n\n{summary(component.builder.__doc__)}\n"
        yield _table([_switch(name), *_component_rows(component)])


def _switch(name: str) -> tuple[str, ...]:
    key, kind, default, text = next(row for row in _static_rows(AutomationChoice) if row[0] == "enabled")
    return (key, kind, "`false`", "Switch of this section.") if own_section(name) else (key, kind, default, text)


def _static_rows(model: type[StrictOptions]) -> Iterable[tuple[str, ...]]:
    schema = model.model_json_schema()
    schema = schema["$defs"][model.__name__] if "properties" not in schema else schema
    hidden = {"options", "automations"}
    nested = parts(model)
    for name, about in schema.get("properties", {}).items():
        if name not in hidden:
            form = nested[name].form if name in nested else None
            kind = {"one": "section", "list": "list of sections", "map": "sections by name", None: words(about)}[form]
            text = about.get("description") or (summary(nested[name].model.__doc__) if name in nested else "")
            default = "the section's key" if (model, name) == (MetricChoice, "type") else _default(name, about, schema)
            yield name, kind, default, text


def _default(name: str, about: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", []):
        return "required"
    return f"`{json.dumps(about['default'], ensure_ascii=False)}`" if "default" in about else ""


def _component_pages() -> Iterator[str]:
    for heading, registry in HEADINGS.items():
        if registry.names():
            yield f"## {heading}\n"
        for component in map(registry.__getitem__, registry.names()):
            yield f"### `{component.name}`\n\n{summary(component.builder.__doc__)}\n"
            if family := family_of(component):
                yield _variant(component, registry[family])
                continue
            shared = {key: group for group in component.groups.values() for key in group.model_fields}
            yield _table(row for row in _component_rows(component) if row[0] not in shared)
            for group in dict.fromkeys(shared.values()):
                yield f"Besides: the [{_group_title(group)}](#{_group_title(group).replace(' ', '-')}).\n"
        yield from _group_pages(registry)


def _variant(component: Component, family: Component) -> str:
    """Return the options of a variant whose default is not that of its family."""
    usual = {row[0]: row for row in _component_rows(family)}
    other = [row for row in _component_rows(component) if row != usual[row[0]]]
    title = f"The options of [`{family.name}`](#{family.name})"
    return f"{title}, with other defaults:\n\n{_table(other)}" if other else f"{title}, all as they are there.\n"


def _group_pages(registry: Registry) -> Iterator[str]:
    """Yield every option group that components of a registry share, once."""
    groups = (group for component in registry for group in component.groups.values())
    for group in dict.fromkeys(groups):
        yield f"### {_group_title(group)}\n\n{summary(group.__doc__)}\n"
        yield _table(_static_rows(group))


def _group_title(group: type[OptionGroup]) -> str:
    return snake_case(group.__name__).replace("_", " ")


def _component_rows(component: Component) -> Iterable[tuple[str, ...]]:
    schema = component_schema(component)
    nested = parts(component.options)
    for name, about in schema.get("properties", {}).items():
        if name not in nested:
            yield name, words(about), _default(name, about, schema), about.get("description", "")
            continue
        yield name, "section", "", about.get("description", "")
        yield from _rows_below(name, nested[name].model)


def _rows_below(place: str, model: type[StrictOptions]) -> Iterator[tuple[str, ...]]:
    """Yield a row for every option of a section inside a component, and of the sections inside that."""
    nested = parts(model)
    for key, *rest in _static_rows(model):
        yield f"{place}.{key}", *rest
        if key in nested:
            yield from _rows_below(f"{place}.{key}", nested[key].model)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| `{key}` | {' | '.join(_cell(text) for text in rest)} |" for key, *rest in rows]
    if not lines:
        return "No options.\n"
    return "\n".join(["| key | value | default | what it does |", "|---|---|---|---|", *lines]) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
