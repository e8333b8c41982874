"""Every larger module has its test at the expected path: `traiNNer/a/b.py` in `tests/unit/a/test_b.py`."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE, UNIT = ROOT / "traiNNer", ROOT / "tests/unit"
SMALL = 30  # lines; shorter modules are tested with their users

# Modules tested together with a neighbor: that test must import them.
FAMILIES = [
    "atd",
    "craft",
    "dat",
    "dctlsa",
    "ditn",
    "drct",
    "esrgan",
    "fdat",
    "grl",
    "hat",
    "moesr",
    "mosr",
    "nafnet",
    "omnisr",
    "plksr",
    "rcan",
    "realcugan",
    "realplksr",
    "rgt",
    "scunet",
    "seemore",
    "span",
    "swin2sr",
    "swinir",
]
HELD_BY = {
    **{f"archs/spandrel/{name}.py": "archs/spandrel/test_families.py" for name in FAMILIES},
    "automations/learning_rate_rules.py": "automations/test_learning_rate.py",
    "automations/memory_model.py": "automations/test_batch_size.py",
    **{
        f"data/datasets/{name}.py": "data/datasets/test_videos.py"
        for name in ("clips", "paired_videos", "single_videos")
    },
    "upscaling/film_parts.py": "upscaling/test_film.py",
    "upscaling/film_source.py": "upscaling/test_film.py",
    "config/reference/docstrings.py": "config/reference/test_markdown.py",
    "config/foreign_names.py": "config/test_foreign_words.py",
    "config/layout.py": "config/reference/test_markdown.py",
    "config/options.py": "config/test_load.py",
    **{f"recipes/{name}.py": "recipes/test_translate.py" for name in ("converted", "trees", "words")},
    "recipes/gan.py": "recipes/test_recipe.py",
    "config/foreign_defaults.py": "config/test_foreign_words.py",
    "zero_config/presets.py": "zero_config/test_draft.py",
    "upscaling/command.py": "cli/test_upscale.py",
    "export/command.py": "cli/test_export.py",
    "papers/command.py": "cli/test_benchmark.py",
    "sweep/command.py": "cli/test_sweep.py",
    "audit/findings.py": "audit/test_contact_sheet.py",
    "engine/control/automation.py": "engine/control/test_slot.py",
    "engine/control/events.py": "engine/control/test_host.py",
    "engine/checkpoint/decoding.py": "engine/checkpoint/test_store.py",
    "engine/evaluation/scorer.py": "engine/evaluation/test_evaluation.py",
    "engine/step_report.py": "engine/test_window.py",
    "losses/vgg.py": "losses/test_perceptual.py",
    "losses/vgg_weights.py": "losses/test_perceptual.py",
    "models/protocol.py": "engine/test_step.py",
    "doctor/machine.py": "doctor/test_examine.py",
    "doctor/probes.py": "doctor/test_examine.py",
    "report/style.py": "report/test_page.py",
    "measuring/child.py": "measuring/test_measure.py",
    "utils/torch_files.py": "utils/test_tensor_files.py",
    "zero_config/compose.py": "measuring/test_measure.py",
    "zero_config/subject.py": "measuring/test_measure.py",
}


def modules() -> dict[str, Path]:
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {name: path for name, path in paths.items() if len(path.read_text(encoding="utf-8").splitlines()) > SMALL}


def home(name: str) -> Path:
    """Return the path of the test of a module; a package's own module is tested under the package's name."""
    place = Path(name)
    stem = place.parent.name or "package" if place.stem == "__init__" else place.stem
    folder = place.parent.parent if place.stem == "__init__" and place.parent.name else place.parent
    return UNIT / folder / f"test_{stem}.py"


def is_tested(name: str) -> bool:
    """Return whether the test of a module exists, has a test, and imports the module where it is not its own."""
    test = UNIT / HELD_BY[name] if name in HELD_BY else home(name)
    text = test.read_text(encoding="utf-8") if test.is_file() else ""
    module = "traiNNer." + name.removesuffix(".py").replace("/", ".")
    package = module.rpartition(".")[0]
    names = (f"from {module} import", f"import {module}", f"from {package} import ")
    return "\ndef test_" in text and (name not in HELD_BY or any(words in text for words in names))


def test_every_module_has_its_own_test():
    assert [name for name in modules() if not is_tested(name)] == []


def test_every_import_exception_is_still_needed():
    assert sorted(name for name in HELD_BY if not (PACKAGE / name).exists() or home(name).exists()) == []
