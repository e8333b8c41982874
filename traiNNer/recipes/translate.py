"""Names, places and components of other frameworks that no option file may contain, as ours."""

from traiNNer.recipes.converted import Converted
from traiNNer.recipes.trees import Tree, sections
from traiNNer.recipes.words import COMPONENTS, MOVED, STAND_INS, Translated


def translate(made: Converted) -> None:
    """Rename keys, gather losses and translate components."""
    _rename(made)
    _gather_losses(made)
    for place, names in COMPONENTS.items():
        for where, section in sections(made.tree, place):
            found = names.get(str(section.get("type", "")).lower())
            if found is not None:
                _translate(made, where, section, found)
    for place in ("train.optim_g", "train.optim_d"):
        for where, section in sections(made.tree, place):
            _stand_in(made, where, section)
    _switch_validation_off(made)


def _rename(made: Converted) -> None:
    for place, old, new in MOVED:
        for where, section in list(sections(made.tree, place)):
            if old not in section:
                continue
            target, _, name = new.rpartition(".")
            home = made.tree.setdefault(target, {}) if target else section
            key = f"{target or where}.{name}".removeprefix(".")
            if name in home:
                made.left_out.append(f"{where}.{old}".removeprefix(".") + f": {key} is given as well")
                del section[old]
                continue
            home[name] = section.pop(old)
            before = f"{where}.{old}".removeprefix(".")
            made.note(before, key, key, before)


def _gather_losses(made: Converted) -> None:
    """Make one list of sections such as `pixel_opt`."""
    train = made.tree.get("train")
    if not isinstance(train, dict):
        return
    losses = train.get("losses", [])
    made.losses = [""] * len(losses)
    for key in [key for key in train if key.endswith("_opt") and isinstance(train[key], dict)]:
        made.changes.append(f"train.{key} -> train.losses[{len(losses)}]")
        made.losses.append(f"train.{key}")
        losses.append(train.pop(key))
        train["losses"] = losses


def _translate(made: Converted, where: str, section: Tree, found: Translated) -> None:
    """Give a component the name and the options that it has here."""
    old = str(section["type"])
    if found.name:
        section["type"] = found.name
        made.note(f"{where}.type = {old}", f"{found.name}{found.but}", f"{where}.type", f"{old}{found.but}")
    for option, name in found.renamed.items():
        if option in section and name not in section:
            section[name] = section.pop(option)
            made.note(f"{where}.{option}", f"{where}.{name}", f"{where}.{name}", option)
    for option, value in found.fixed.items():
        if section.get(option, object()) == value:
            del section[option]
            made.left_out.append(f"{where}.{option} = {value}: {section['type']} has no other value")
    for (option, value), ours in found.values.items():
        if section.get(option) == value:
            section[option] = ours
            made.note(f"{where}.{option} = {value}", ours, f"{where}.{option}", value)


def _stand_in(made: Converted, where: str, section: Tree) -> None:
    """Replace an optimizer that is not here by its like, which has other options and wants another learning rate."""
    old = str(section.get("type", ""))
    if old.lower() not in STAND_INS:
        return
    plain, schedule_free = STAND_INS[old.lower()]
    section["type"] = schedule_free if section.pop("schedule_free", True) else plain
    new = f"{section['type']}, which is another algorithm: tune its lr"
    made.note(f"{where}.type = {old}", new, f"{where}.type", f"{old}, another algorithm")


def _switch_validation_off(made: Converted) -> None:
    """Say of a file without validation images that nothing is validated, as their frameworks take it."""
    datasets, val = made.tree.get("datasets"), made.tree.setdefault("val", {})
    if isinstance(datasets, dict) and isinstance(val, dict) and set(datasets) <= {"train"} and "val_enabled" not in val:
        val["val_enabled"] = False
        made.changes.append("val.val_enabled: false, since there is no datasets.val")
        made.reasons["val.val_enabled"] = "there are no images to validate with"
