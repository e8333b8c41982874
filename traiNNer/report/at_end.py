"""The report at the end of a run."""

from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import RunError
from traiNNer.report.page import write_report


def report_at_end(folder: RunFolder, book: Logbook, ended: str) -> None:
    """Write the page of a run that is over; a failure is reported and changes nothing."""
    try:
        book.info(f"Report: {write_report(folder.root, ended)}")
    except RunError as error:
        book.warn(f"No report: {' '.join(str(error).split())}")
    except Exception as error:  # the run is done, whatever its record holds
        book.warn(f"No report ({type(error).__name__}: {error}).")
