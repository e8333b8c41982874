from traiNNer import registry
from traiNNer.config.layout import parts, sections, static_keys
from traiNNer.config.options import TrainOptions
from traiNNer.config.reference.docstrings import argument_docs, option_docs, summary
from traiNNer.config.reference.markdown import options_markdown, words


def test_arguments_of_a_google_docstring():
    doc = """Do it.

    Args:
        first: One
            line: and more.
        second (int): Another.

    Returns:
        third: none of these.
    """
    assert argument_docs(doc) == {"first": "One line: and more.", "second": "Another."}
    assert argument_docs("Nothing here.") == {}
    assert argument_docs(None) == {}
    assert summary("Two\nlines.\n\nMore.") == "Two lines."


def test_options_are_described_by_the_class():
    assert option_docs(registry.ARCHS["tinynet"]) == {"dim": "Channels of every layer.", "mode": "How it works."}


def test_every_option_has_a_row_and_a_description():
    page = options_markdown()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    names = {row[0].removeprefix("| ").strip("`") for row in rows}
    for place, model in sections(TrainOptions):
        assert (f"## `{place}`" if place else "## Top level") in page
        for key in static_keys(model):
            assert key in names, key
    assert "| `total_iter` | whole number > 0 | `100000` | Iterations (optimizer steps)" in page
    assert "| `network_g` | section | required | The network. |" in page
    assert '| `num_gpu` | whole number ≥ 0 or `auto` | `"auto"` |' in page
    assert "## `train.training_automations.IntelligentEarlyStopping`" in page
    assert "| `IntelligentEarlyStopping` | section | off unless written | Ends a run that" in page
    assert '| `preset` | `convenience` or `fidelity` | `"convenience"` | `convenience` reads the trend ' in page
    assert "| `fallback` | section |  | What is active after the automation was disabled. |" in page
    assert (
        "| `fallback.early_stopping` | `true`/`false` | `false` | Stop by plain patience; false never stops. |" in page
    )
    assert "| `fallback.scheduler_params.eta_min` | number ≥ 0 | `0.0` | The lowest learning rate" in page
    assert "`automations`" not in page
    assert "### `tinynet`\n\nA network with size constraints.\n" in page
    assert "| `dim` | whole number > 0 | `8` | Channels of every layer. |" in page
    assert "| `milestones` | list of: whole number > 0 | required |" in page


def test_no_field_of_the_tree_lacks_its_text():
    bare = [
        f"{place}.{key}"
        for place, model in sections(TrainOptions)
        for key in static_keys(model)
        if not model.model_fields[key].description and key not in parts(model)
    ]
    assert bare == []


def test_names_of_types():
    assert words({"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}) == "list of number, number"
    assert words({"anyOf": [{"type": "string"}, {"type": "null"}]}) == "text or null"
    assert words({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}) == "number > 0 and ≤ 0.5"
    assert words({"const": "cosine", "type": "string"}) == "`cosine`"
    assert words({}) == "any value"
