"""A test of weights from checked options to the table of scores."""

from pathlib import Path

from traiNNer.config.load import Loaded
from traiNNer.config.options import TestOptions
from traiNNer.engine.evaluation.tester import Tester
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.compiling import compiler_errors
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.models.protocol import MAIN
from traiNNer.run.build import build_evaluations, build_networks, open_dataset, prepare_demo_if_named
from traiNNer.run.pairs import different_pictures
from traiNNer.run.preflight import check_metrics, check_network
from traiNNer.run.pretrained import load_given_weights


def test(loaded: Loaded[TestOptions], book: Logbook, *, check: bool) -> str:
    """Test as the options say, or only check them. Returns how it ended."""
    options = loaded.options
    book.warn_all(loaded.warnings)
    book.info_all(loaded.notices(check))
    if options.dist:
        book.warn("dist has no effect in test.py: one process tests every image")
    runtime, notes = start_runtime(options)
    book.warn_all(notes)
    prepare_demo_if_named(options, book)
    sets = {key: open_dataset(options, key, book) for key in options.datasets}
    book.warn_all(different_pictures(sets))
    network = build_networks(options)[MAIN]
    check_network(network, options, sets)
    book.warn_all(check_metrics(options, sets))
    load_given_weights(network, options, book, strict=True)
    if check:
        book.console.print(loaded.effective())
        return "checked: options, data, weights and shapes are in order"
    book.info(runtime.about)
    evaluations = build_evaluations(options, sets, runtime)
    upscale = runtime.upscaler(runtime.place(network).eval())
    tester = Tester(results_folder(options), evaluations, book, options.val.save_img)
    with compiler_errors():
        tester.run(upscale)
    return f"finished: {tester.done:,} image{'s' * (tester.done != 1)} in {len(sets)} set{'s' * (len(sets) != 1)}"


def results_folder(options: TestOptions) -> Path:
    """Return where a test writes images and `metrics.json`."""
    return Path("results") / options.name
