"""What an option file with a discriminator means: its model, where the community writes options of it, its losses."""

from traiNNer.config.facts import Facts
from traiNNer.config.tree import DEFAULT, Node
from traiNNer.registry import fold

MODEL = "adversarial"
TURNS = ("net_d_iters", "net_d_init_iters")
LOSSES_AT = ("train", "losses")


def complete_adversarial(root: Node) -> None:
    """Let a file with `network_d` have the model that trains it."""
    network = root.child("network_d")
    if network is None or network.value is None:
        return
    model = root.child("model")
    if model is None:
        model = root.value["model"] = Node({}, network.line, "model", DEFAULT)
    if isinstance(model.value, str):
        model.value = {"type": Node(model.value, model.line, model.key, model.source)}
    if isinstance(model.value, dict):
        model.value.setdefault("type", Node(MODEL, model.line, "model.type", DEFAULT))
        _move_turns(root, model)


def _move_turns(root: Node, model: Node) -> None:
    """Move what the community writes in `train` to the model, if it is ours."""
    train, kind = root.child("train"), model.child("type")
    if train is None or kind is None or not isinstance(kind.value, str) or fold(kind.value) != MODEL:
        return
    for key in [key for key in TURNS if key in train.entries() and key not in model.entries()]:
        model.value[key] = train.value.pop(key)


def check_adversarial(facts: Facts) -> None:
    """Report a discriminator in place of the network, and a loss that asks for one where there is none."""
    network = facts.chosen.get(("network_g",))
    if network is not None and network.traits.discriminates:
        facts.problem(("network_g", "type"), f"{network.name} judges images, it makes none; it belongs to network_d")
    if facts.section("network_d") is not None:
        return
    for path, loss in facts.chosen.items():
        if path[:2] == LOSSES_AT and len(path) == 3 and loss.traits.adversarial:
            facts.problem((*path, "type"), f"{loss.name} asks for a discriminator: add network_d and train.optim_d")
