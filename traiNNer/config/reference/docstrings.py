"""What a component's docstring says of it and of each option (Google style: a summary, then `Args:`)."""

import inspect
import re

from traiNNer.registry import Component, own_bases

ENTRY = re.compile(r"(\w+)(?: \([^)]*\))?:\s*(.*)")


def summary(doc: str | None) -> str:
    """Return the first paragraph on one line."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n", 1)[0].split())


def argument_docs(doc: str | None) -> dict[str, str]:
    """Return the descriptions of the `Args:` section by name; empty without one."""
    lines = inspect.cleandoc(doc or "").splitlines()
    if "Args:" not in lines:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Args:") + 1 :]:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break
        entry = ENTRY.match(line.strip()) if indent == 4 else None
        if entry:
            name = entry.group(1)
            found[name] = entry.group(2)
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def option_docs(component: Component) -> dict[str, str]:
    """Return what each option of a component does, from its docstring, those of its bases or its options model."""
    fields = {name: field.description or "" for name, field in component.options.model_fields.items()}
    own = argument_docs(component.options.__doc__)
    for part in reversed(own_bases(component.builder)) if inspect.isclass(component.builder) else [component.builder]:
        own |= argument_docs(part.__doc__) | argument_docs(getattr(part.__init__, "__doc__", None))
    return {name: fields[name] or own.get(name, "") for name in fields}
