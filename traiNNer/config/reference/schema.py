"""The JSON schema of an option file, with every registered component, so that editors complete names and options."""

from collections.abc import Iterator
from typing import Any

from traiNNer.config.automation_options import OWN_SECTIONS
from traiNNer.config.choice import AutomationChoice, Choice
from traiNNer.config.layout import automations, own_section, sections, snake_case
from traiNNer.config.options import ArchChoice, CommonOptions, MetricChoice, TrainOptions
from traiNNer.config.reference.docstrings import option_docs, summary
from traiNNer.registry import Component

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]


def json_schema(model: type[CommonOptions] = TrainOptions) -> Schema:
    """Return the schema of an option file, including the other places that a section may stand in.

    Components are those that are registered when it is called.
    """
    schema = model.model_json_schema()
    definitions: Schema = schema["$defs"]
    for choice in _choices(model):
        definitions[choice.__name__] = _choice(choice, definitions)
    if "AutomationOptions" in definitions:
        _name_automations(definitions)
    if issubclass(model, TrainOptions):
        _add_places(schema)
    _allow_empty_metrics(definitions["ValSection"])
    return {"$schema": DRAFT} | _draft_07(schema)


def _choices(model: type[CommonOptions]) -> Iterator[type[Choice]]:
    seen: set[type] = set()
    for _, section in sections(model):
        if issubclass(section, Choice) and section not in seen:
            seen.add(section)
            yield section


def _choice(choice: type[Choice], definitions: Schema) -> Schema:
    fixed = {k: v for k, v in definitions[choice.__name__]["properties"].items() if k not in ("type", "options")}
    if choice is ArchChoice:
        fixed["scale"] = {"type": "integer", "description": "The same as the top-level scale; best left out."}
    every = list(choice.registry)
    heads = [component for component in every if not family_of(component)]
    variants = [_component(component, choice, fixed, definitions) for component in heads]
    for head, schema in zip(heads, variants, strict=True):
        _offer_variants(schema, [head, *(component for component in every if family_of(component) == head.name)])
    return {"title": choice.__name__, "description": summary(choice.__doc__), "anyOf": variants}


def family_of(component: Component) -> str:
    """Return the name of the component that this one is a variant of; empty for one that is not."""
    return getattr(component.traits, "family", "")


def _offer_variants(schema: Schema, members: list[Component]) -> None:
    """Let the schema of a family's head hold for all of it: every name, and no default in which they differ."""
    if len(members) == 1:
        return
    branches = [branch for member in members for branch in _type_name(member, "")["anyOf"]]
    spellings = [spelling for branch in branches for spelling in branch.get("enum", [])]
    patterns = [branch for branch in branches if "pattern" in branch]
    schema["properties"]["type"] = {"anyOf": [{"enum": spellings}, *patterns]}
    for name, about in schema["properties"].items():
        fields = [member.options.model_fields.get(name) for member in members]
        if any(field and fields[0] and field.default != fields[0].default for field in fields):
            about.pop("default", None)


def _component(component: Component, choice: type[Choice], fixed: Schema, definitions: Schema) -> Schema:
    own = component_schema(component)
    definitions.update(own.pop("$defs", {}))
    prefix = "(calculate_)?" if choice is MetricChoice else ""
    required = own.get("required", [])
    return {
        "title": component.name,
        "description": summary(component.builder.__doc__),
        "type": "object",
        "properties": {"type": _type_name(component, prefix), **own.get("properties", {}), **fixed},
        "required": required if choice is MetricChoice else ["type", *required],
        "additionalProperties": False,
    }


def component_schema(component: Component) -> Schema:
    """Return the schema of a component's own options, each described by its docstring."""
    place = f"#/$defs/{component.name}.{{model}}"
    schema = component.options.model_json_schema(ref_template=place)
    schema["$defs"] = {f"{component.name}.{key}": value for key, value in schema.get("$defs", {}).items()}
    for name, text in option_docs(component).items():
        if text and name in schema.get("properties", {}):
            schema["properties"][name]["description"] = text
    return schema


def _type_name(component: Component, prefix: str) -> Schema:
    """Offer the usual spellings, and accept any letter case with or without underscores, as the loader does."""
    spellings = dict.fromkeys([component.name, component.builder.__name__])
    letters = [letter for letter in component.name.lower() if letter != "_"]
    folded = "_*".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in letters)
    return {"anyOf": [{"enum": list(spellings)}, {"type": "string", "pattern": f"^{prefix}{folded}_*$"}]}


def _name_automations(definitions: Schema) -> None:
    """Offer every automation as a section in its usual spellings; it may stand there empty."""
    properties = definitions["AutomationOptions"]["properties"]
    del properties["automations"]
    switch = definitions.pop("AutomationChoice")["properties"]["enabled"]
    for name, component in automations().items():
        own = {"default": False, "description": "Switch of this section."} if own_section(name) else {}
        section = definitions[name] = _component(component, AutomationChoice, {"enabled": switch | own}, definitions)
        section["required"] = [key for key in section["required"] if key != "type"]
        del section["properties"]["type"]
        for spelling in (name, snake_case(component.builder.__name__)):
            properties[spelling] = {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}


def _add_places(schema: Schema) -> None:
    """`losses` and `training_automations` at the top level, `val` inside `train`, beside automations."""
    train = schema["$defs"]["TrainSection"]
    for name in ("losses", "training_automations"):
        schema["properties"][name] = train["properties"][name]
    train["required"] = [key for key in train["required"] if key != "losses"]
    train["properties"]["val"] = schema["properties"]["val"]
    among = schema["$defs"]["AutomationOptions"]["properties"]
    train["properties"] |= {own: among[name] for own, name in OWN_SECTIONS.items() if name in among}


def _allow_empty_metrics(section: Schema) -> None:
    metrics = section["properties"]["metrics"]
    metrics["additionalProperties"] = {"anyOf": [metrics["additionalProperties"], {"type": "null"}]}


def _draft_07(schema: Any) -> Any:
    """Return the schema in the draft that editors read, the same for every version of pydantic.

    A fixed list is `items`, not `prefixItems`, and a reference that says more than itself stands in `allOf`.
    """
    if isinstance(schema, list):
        return [_draft_07(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {("items" if key == "prefixItems" else key): _draft_07(value) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str) and len(schema) > 1:
        schema["allOf"] = [{"$ref": schema.pop("$ref")}]
    if schema.get("additionalProperties") is True:  # what goes without saying, only newer versions say
        del schema["additionalProperties"]
    if "const" in schema and isinstance(schema.get("enum"), list):
        del schema["enum"]
    return schema
