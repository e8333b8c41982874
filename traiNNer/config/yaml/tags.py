"""The core tags of YAML, which say what kind of value follows: `!!float 1e-4`. All others are refused."""

from traiNNer.config.yaml.scalars import plain_scalar

CORE = "tag:yaml.org,2002:"
SCALARS = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
COLLECTIONS = ("map", "seq")
MEANT = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}


def refused(tag: str, is_scalar: bool) -> str | None:
    """Return why a tag cannot stand there, or None for one that can."""
    name = tag.removeprefix(CORE)
    if tag.startswith(CORE) and name in (SCALARS if is_scalar else COLLECTIONS):
        return None
    allowed = ", ".join(f"!!{known}" for known in SCALARS)
    return f"tag {tag.replace(CORE, '!!', 1)} is not allowed. Remove it; {allowed} are."


def value_of(tag: str | None, word: str, is_plain: bool) -> str | int | float | bool | None:
    """Return what a word means. Raises `ValueError`, with what to write instead, for an ambiguous or unfit one."""
    if tag is None or refused(tag, is_scalar=True):
        return plain_scalar(word) if is_plain else word
    return _tagged(tag, word)


def _tagged(tag: str, word: str) -> str | int | float | bool | None:
    name = tag.removeprefix(CORE)
    if name == "str":
        return word
    value = plain_scalar(word)
    if not isinstance(value, SCALARS[name]) or (isinstance(value, bool) and name != "bool"):
        raise ValueError(f"is not {MEANT[name]}, as its tag !!{name} says.")
    return float(value) if name == "float" and isinstance(value, int) else value
