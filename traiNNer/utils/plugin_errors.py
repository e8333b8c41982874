"""What a user's own dataset may raise, as a value that can travel from a data worker, and that ends a run well."""

import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from traiNNer import errors
from traiNNer.errors import DataError, RunError
from traiNNer.utils.limits import limit_error, words_of
from traiNNer.utils.plugin_files import involves_plugin, place_of


def data_error(error: BaseException, what: Callable[[], str]) -> BaseException:
    """Return what ends the run instead of an error raised while an image was read; it can always be pickled.

    Args:
        error: any but `KeyboardInterrupt`.
        what: names the image; it may belong to the plugin and fail, too.

    Returns:
        What `limit_error` makes of it, or a `DataError` that names the image, and the line of the plugin if one took
        part. Our own mistakes and a lack of memory stay what they are.
    """
    if isinstance(error, RunError):
        return error if type(error) in vars(errors).values() else DataError(words_of(error))
    if limit := limit_error(error):
        return limit
    is_plugins = involves_plugin(error)
    place = f"{place_of(error)}: " if is_plugins else ""
    if isinstance(error, OSError):
        return DataError(f"{_name(what)} cannot be read: {place}{words_of(error)}")
    if isinstance(error, MemoryError) or not (is_plugins or isinstance(error, SystemExit)):
        return _portable(error)
    text = f"{type(error).__name__}: {words_of(error)}".removesuffix(": ")
    return DataError(f"{_name(what)} cannot be used: {place}{text}. A plugin raised this: repair it there.")


@contextmanager
def naming(what: Callable[[], str]) -> Iterator[None]:
    """Raise what `data_error` makes of any error of the block."""
    try:
        yield
    except (Exception, SystemExit) as error:
        known = data_error(error, what)
        if known is error:
            raise
        raise known from None


def _portable(error: BaseException) -> BaseException:
    """Return an error that another process can read, with its traceback as a note."""
    trace = "".join(traceback.format_exception(error))
    try:
        is_portable = type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        is_portable = False
    if not is_portable:
        error = RuntimeError(f"{type(error).__name__}: {words_of(error)}")
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(trace)
    return error


def _name(what: Callable[[], str]) -> str:
    try:
        return str(what())
    except Exception:
        return "an image"
