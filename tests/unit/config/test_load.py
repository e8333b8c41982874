import pytest

from traiNNer.config.load import load_options
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.config.reference.docstrings import option_docs
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError
from traiNNer.registry import DATASETS, LOSSES


def test_complete_file_becomes_a_typed_tree(load):
    loaded = load()
    options = loaded.options
    assert isinstance(options, TrainOptions)
    assert options.network_g.type == "tinynet"
    assert options.network_g.plain() == {"dim": 8, "mode": "fast"}
    expected = {"lr": 1e-3, "betas": [0.9, 0.999], "weight_decay": 0.01, "eps": 1e-8, "amsgrad": False}
    assert options.train.optim_g.plain() == expected
    assert [loss.type for loss in options.train.losses] == ["l1loss", "charbonnierloss"]
    assert options.train.losses[1].plain() == {"eps": 1e-3}
    assert options.datasets["train"].options.lq_size == 48
    assert options.val.metrics["psnr"].type == "psnr"
    assert loaded.warnings == ()


AT_MOST = "must be a list of 2 values at most"
WRONG = {
    "unknown key": ("total_iter", "totl_iter", 16, "train.totl_iter", "unknown option; did you mean 'total_iter'?"),
    "key of another section": ("total_iter", "print_freq", 16, "train.print_freq", "unknown option; belongs to logger"),
    "key of a component": ("total_iter: 100", "lr: 1", 16, "train.lr", "unknown option; belongs to train.optim_g"),
    "key of the top level": (
        "total_iter: 100",
        "use_amp: true",
        16,
        "train.use_amp",
        "unknown option; belongs to the top level",
    ),
    "key of a neighbor loss": (
        "lr: 1e-3",
        "loss_weight: 1",
        17,
        "train.optim_g.loss_weight",
        "unknown option; belongs to train.losses",
    ),
    "what the framework gives": (
        "type: TinyNet",
        "{type: TinyNet, seed: 1}",
        14,
        "network_g.seed",
        "unknown option; it is given by manual_seed",
    ),
    "unknown loss": (
        "CharbonnierLoss",
        "charbonier",
        20,
        "train.losses[1].type",
        "no such loss; did you mean 'charbonnierloss'?   known: LOSSES",
    ),
    "type that is not a name": ("L1Loss", "3", 19, "train.losses[0].type", "must be the name of a registered loss"),
    "missing type": (
        "- type: L1Loss",
        "- loss_weight: 1",
        19,
        "train.losses[0].type",
        "is missing: the loss   known: LOSSES",
    ),
    "text for a whole number": ("100", "many", 16, "train.total_iter", "must be a whole number"),
    "quoted number": ("100", "'100'", 16, "train.total_iter", "must be a whole number (write 100)"),
    "underscores": ("100", "1_000", 16, "train.total_iter", "must be a whole number (write 1000)"),
    "float for a whole number": ("100", "1e5", 16, "train.total_iter", "must be a whole number (write 100000)"),
    "fraction": ("100", "1.5", 16, "train.total_iter", "must be a whole number"),
    "boolean for a number": ("100", "true", 16, "train.total_iter", "must be a whole number"),
    "nothing for a number": ("100", "", 16, "train.total_iter", "must be a whole number"),
    "too small": ("100", "0", 16, "train.total_iter", "must be greater than 0"),
    "too large": ("scale: 2", "scale: 17", 2, "scale", "must be at most 16"),
    "nan": ("1e-3}", ".nan}", 17, "train.optim_g.lr", "must be a number"),
    "bound of a component": ("1e-3}", "0}", 17, "train.optim_g.lr", "must be greater than 0"),
    "yes for a boolean": ("name: run", "name: run\nuse_amp: yes", 2, "use_amp", "must be true or false (write true)"),
    "off for a boolean": ("name: run", "name: run\nuse_amp: off", 2, "use_amp", "must be true or false (write false)"),
    "number for a text": ("name: run", "name: 2024", 1, "name", 'must be text (write "2024")'),
    "boolean for a text": ("name: run", "name: true", 1, "name", 'must be text (write "true")'),
    "list for a text": ("name: run", "name: [a]", 1, "name", "must be text"),
    "union": ("name: run", "name: run\nnum_gpu: some", 2, "num_gpu", "must be a whole number or 'auto'"),
    "choice of words": (
        "type: TinyNet",
        "{type: TinyNet, mode: fats}",
        14,
        "network_g.mode",
        "must be 'fast' or 'slow'; did you mean 'fast'?",
    ),
    "item of a list": ("data/hr", "[a, 3]", 6, "datasets.train.dataroot_gt[1]", 'must be text (write "3")'),
    "too few values": ("1e-3}", "1e-3, betas: [0.9]}", 17, "train.optim_g.betas", "has too few values"),
    "too many values": ("1e-3}", "1, betas: [0, 0, 0]}", 17, "train.optim_g.betas", AT_MOST),
    "empty list": (
        "type: CharbonnierLoss\n      eps: 1e-3",
        "{type: PerceptualLoss, layers: []}",
        20,
        "train.losses[1].layers",
        "must be a list of 1 or more values",
    ),
    "value for a section": (
        "{type: AdamW, lr: 1e-3}",
        "AdamW",
        17,
        "train.optim_g",
        "must be a section (keys and values) (write {type: AdamW})",
    ),
    "key with a digit too many": (
        "      eps: 1e-3\n",
        "      eps: 1e-3\n  losses2: 1\n",
        22,
        "train.losses2",
        "unknown option; did you mean 'losses'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "key", "message"), WRONG.values(), ids=WRONG)
def test_problems_are_reported_with_line_key_and_fix(problems, base, old, new, line, key, message):
    assert old in base
    message = message.replace("LOSSES", ", ".join(LOSSES.names()))
    assert (line, key, message) in problems(base.replace(old, new, 1))


def test_missing_keys_have_a_description(problems, base):
    text = base.replace("  optim_g: {type: AdamW, lr: 1e-3}\n", "")
    assert problems(text) == [(15, "train.optim_g", "is missing: The optimizer of the network.")]
    ((line, key, message),) = problems(base.replace("    dataroot_lq: data/lr\n", ""))
    text = option_docs(DATASETS["PairedImageDataset"])["dataroot_lq"]
    assert (line, key, message) == (4, "datasets.train.dataroot_lq", f"is missing: {text}")
    found = {key: message for _, key, message in problems("scale: 2\n")}
    assert set(found) == {"name", "network_g", "datasets", "train"}
    assert found["network_g"] == "is missing: The network."


def test_all_problems_are_reported_in_file_order(load, base, tmp_path):
    text = base.replace("L1Loss", "l2lss").replace("lq_size: 48", "lq_size: 50").replace("total_iter", "totl_iter")
    with pytest.raises(ConfigError) as caught:
        load(text, "train.ema_decay=2", "nonsense")
    message = str(caught.value)
    assert message.splitlines()[0] == f"{tmp_path / 'options.yml'}: 5 problems"
    assert [problem.line for problem in caught.value.problems] == [8, 16, 19, None, None]
    assert "line 16  train.totl_iter = 100" in message
    assert "--set train.ema_decay = 2" in message
    for foreign in ("pydantic", "Input should", "http", "Traceback", "value_error"):
        assert foreign not in message


def test_empty_sections_are_their_defaults(load, base):
    loaded = load(f"{base}logger:\npath:\n")
    assert loaded.options.logger.print_freq == 100
    assert load(base.replace("    psnr: {}", "    psnr:\n    ssim: ~")).options.val.metrics["ssim"].type == "ssim"


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just text\n"])
def test_file_without_keys(problems, text):
    ((_, _, message),) = problems(text)
    assert "option file" in message


def test_missing_file_suggests_similar_names(tmp_path):
    (tmp_path / "2x_paragonsr2.yml").touch()
    with pytest.raises(ConfigError, match=r"does not exist; nearest: .*2x_paragonsr2\.yml"):
        load_options(tmp_path / "2x_paragonsr.yml", TrainOptions)
    with pytest.raises(ConfigError, match=f"no folder .*; nearest: {tmp_path}"):
        load_options(tmp_path / "options" / "a.yml", TrainOptions)
    with pytest.raises(ConfigError, match="is a folder"):
        load_options(tmp_path, TrainOptions)


def test_encodings(tmp_path, base):
    path = tmp_path / "a.yml"
    text = base.replace("name: run", "name: été")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert load_options(path, TrainOptions).options.name == "été"
    path.write_bytes(text.encode().replace(b"\n", b"\r\n"))
    assert load_options(path, TrainOptions).options.name == "été"
    path.write_text(f"# a comment\n{text}", encoding="latin-1")
    with pytest.raises(ConfigError, match="line 2 is not UTF-8"):
        load_options(path, TrainOptions)
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load_options(path, TrainOptions)


def test_sources_and_effective(load, base):
    loaded = load(base, "train.total_iter=200", "datasets.train.batch_size_per_gpu=4")
    sources = loaded.sources
    assert sources["train.total_iter"] == "--set"
    assert sources["datasets.train.batch_size_per_gpu"] == "--set"
    assert sources["train.losses[1].eps"] == "file line 21"
    assert sources["network_g.dim"] == "default"
    assert sources["train.ema_decay"] == "default"
    lines = loaded.effective().splitlines()
    assert "  total_iter: 200  # --set" in lines
    assert "      eps: 0.001  # file line 21" in lines
    assert loaded.text == base


def test_effective_is_a_file_with_the_same_options(load, base):
    text = base.replace("name: run", "name: no\nmanual_seed: 5").replace("1e-3}", "1.0e-5, betas: [0.5, 0.75]}")
    loaded = load(text.replace("data/hr", "['a b: #c', \"C:\\\\x\", '012', 'é\"', 'ends ']"))
    again = load(loaded.effective())
    assert again.options == loaded.options
    assert again.options.datasets["train"].options.dataroot_gt == ("a b: #c", "C:\\x", "012", 'é"', "ends ")


def test_effective_reads_the_same_in_yaml_1_1(load, base):
    import yaml

    loaded = load(base.replace("name: run", "name: no").replace("1e-3}", "1.0e-7}"))
    assert yaml.safe_load(loaded.effective()) == load_yaml(loaded.effective(), "").tree
    assert yaml.safe_load(loaded.effective())["train"]["optim_g"]["lr"] == 1e-7


def test_every_value_has_a_source(load):
    loaded = load()

    def leaves(tree, at=""):
        if isinstance(tree, dict) and tree:
            return [leaf for key, item in tree.items() for leaf in leaves(item, f"{at}.{key}".lstrip("."))]
        if isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
            return [leaf for index, item in enumerate(tree) for leaf in leaves(item, f"{at}[{index}]")]
        return [at]

    assert sorted(loaded.sources) == sorted(leaves(loaded.tree))
    assert loaded.effective().count("  # ") == len(loaded.sources)


def test_test_file(load, problems, base):
    text = base[: base.index("train:\n  total")].replace("  train:", "  test_a:").replace("  val:", "  val_b:")
    assert load(f"{text}path: {{pretrain_network_g: a.pth}}\n", model=TestOptions).options.scale == 2
    assert problems(text, model=TestOptions) == [
        (None, "path.pretrain_network_g", "is missing: the weights to test"),
    ]
    found = problems(f"{text}path: {{pretrain_network_g: a.pth}}\ntrain: {{}}\n", model=TestOptions)
    assert [message for _, _, message in found] == ["unknown option; belongs to an option file of train.py"]
