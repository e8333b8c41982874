"""The image sets of a run."""

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import DataError
from traiNNer.run.build import open_dataset


def open_sets(options: TrainOptions, book: Logbook) -> dict[str, ImageSet]:
    """Open every set of a training run by the key of its section. Raises `DataError`.

    Files of the community often name folders that are not there in a set which is not validated.
    """
    sets: dict[str, ImageSet] = {}
    for key in options.datasets:
        try:
            sets[key] = open_dataset(options, key, book)
        except DataError as error:
            if key.startswith("train") or options.val.val_enabled:
                raise
            book.warn(f"Left out, since val.val_enabled is false: {error}")
    return sets
