"""The end of a run, whatever ends it: the last line says why, and the exit code is the right one."""

import io
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType

from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.signals import end_process, interrupted_by, leave_at_once, listen
from traiNNer.errors import ConfigError, OutOfMemory, RankLost, RunError
from traiNNer.utils.limits import limit_error, require_addresses
from traiNNer.utils.plugin_files import is_raised_by_plugin, place_of
from traiNNer.utils.printable import printable

INTERNAL_ERROR = "Internal error (a bug in traiNNer). Please report it with the traceback above."


class Terminated(BaseException):
    """A stop signal arrived before the loop that would answer it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _terminate(number: int, _: FrameType | None) -> None:
    raise Terminated(number)


def _end_at_once_if_pressed(number: int, _: FrameType | None) -> None:
    """Answer a stop signal at the end: nothing may take its exit code away but Ctrl+C of someone who is tired of it."""
    if number == signal.SIGINT:
        leave_at_once(number)


def _is_out_of_memory(error: Exception) -> bool:
    if "torch" not in sys.modules:  # checking a file does not need it
        return isinstance(error, MemoryError)
    from traiNNer.engine.runtime.out_of_memory import is_out_of_memory

    return is_out_of_memory(error)


def run_guarded(run: Callable[[Logbook], str], quiet: bool = False, verbose: bool = False) -> int:
    """Run to the end or to an error, say why it ended as the last line, and return the exit code.

    With `quiet` nothing is said but that; with `verbose` an error is reported with the place that raised it.
    """
    book = Logbook(quiet)
    code, reason, label = 1, "", RunError.label
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that the terminal cannot show must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    listen(_terminate)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: book.warn(str(message))
        try:
            require_addresses()
            reason = run(book)
            code = 0
        except RunError as error:
            code, reason, label = error.exit_code, str(error), error.label
            reason = f"{traceback.format_exc()}{reason}" if verbose else reason
        except (KeyboardInterrupt, Terminated) as error:
            number = error.number if isinstance(error, Terminated) else signal.SIGINT
            code, reason = 128 + number, f"{interrupted_by(number)} before there was anything to save."
        except Exception as error:
            if limit := limit_error(error):
                code, reason, label = limit.exit_code, str(limit), limit.label
            elif _is_out_of_memory(error):
                code, label = OutOfMemory.exit_code, OutOfMemory.label
                reason = f"Out of memory. Try a smaller batch or crop. ({error})"
            elif is_raised_by_plugin(error):
                code, label = ConfigError.exit_code, "a plugin that does not work"
                reason = f"{place_of(error)}: {type(error).__name__}: {error}. A plugin raised this: repair it there."
            else:
                reason = traceback.format_exc() + INTERNAL_ERROR
        finally:
            listen(_end_at_once_if_pressed)
            book.stop_progress()
    book.finish(reason, code, label)
    if quiet and code:
        sys.stderr.write(printable(f"{reason}\n"))
    book.close()
    if code == RankLost.exit_code:  # what connected the ranks would wait for the lost one at the end of the process
        sys.stdout.flush()
        end_process(code)
    return code
