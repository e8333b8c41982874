"""Places in plain trees, what is noted of them, and components that have other names here."""

from traiNNer.recipes.converted import Converted
from traiNNer.recipes.translate import translate
from traiNNer.recipes.trees import at, paths, sections, without
from traiNNer.recipes.words import COMPONENTS, MOVED
from traiNNer.registry import ARCHS, DATASETS, LOSSES, SCHEDULES

TREE = {"train": {"losses": [{"type": "a"}, {"type": "b"}, {"type": "c"}], "lr": 1}, "name": "x"}


def test_sections_are_found_by_place():
    assert [where for where, _ in sections(TREE, "train.losses.*")] == [f"train.losses[{place}]" for place in range(3)]
    assert [where for where, _ in sections(TREE, "*")] == ["train"]  # a name is not a section
    assert list(sections(TREE, "")) == [("", TREE)]
    assert list(sections(TREE, "val.metrics")) == []
    assert ("train", "losses", 1, "type") in set(paths(TREE))
    assert at(without(TREE, ("train", "losses", 0)), ("train", "losses", 0, "type")) == "b"
    assert at(TREE, ("train", "losses", 0, "type")) == "a"


def test_losses_that_move_up_keep_what_was_noted_of_them():
    made = Converted(without(TREE, ("name",)), losses=["", "train.pixel_opt", "train.gan_opt"])
    made.reasons = {"train.losses[0].type": "first", "train.losses[2].type": "third", "train.lr": "rate"}
    assert made.origin(("train", "losses", 2, "weight")) == "train.gan_opt.weight"
    assert made.origin(("train", "losses", 0, "weight")) == "train.losses[0].weight"
    made.remove(("train", "losses", 1))
    assert made.losses == ["", "train.gan_opt"]
    assert made.reasons == {"train.losses[0].type": "first", "train.losses[1].type": "third", "train.lr": "rate"}


def test_component_gets_the_name_and_the_options_that_it_has_here():
    made = Converted({"network_g": {"type": "RRDBNet", "num_block": 6, "num_grow_ch": 32}, "datasets": {"val": {}}})
    translate(made)
    assert made.tree["network_g"] == {"type": "esrgan", "num_blocks": 6}
    assert made.reasons == {"network_g.type": "was RRDBNet", "network_g.num_blocks": "was num_block"}
    assert made.left_out == ["network_g.num_grow_ch = 32: esrgan has no other value"]
    assert "val_enabled" not in made.tree["val"]


def test_translations_lead_to_components_and_options_that_exist():
    kinds = {"datasets.*": DATASETS, "train.scheduler": SCHEDULES, "train.losses.*": LOSSES}
    for place, names in COMPONENTS.items():
        registry = kinds.get(place, ARCHS)
        for old, new in names.items():
            known = registry[new.name or old].options.model_fields.keys()
            assert {*new.renamed.values(), *(option for option, _ in new.values)} <= known
            assert not new.fixed.keys() & known
    assert all(old != new.rpartition(".")[2] or "." in new for _, old, new in MOVED)
