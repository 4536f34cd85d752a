"""Skip incomplete files: a download that resumes would damage a file that was tagged in between."""

from __future__ import annotations

from genrify_tagger.analysis import Shortfall
from genrify_tagger.errors import GenrifyError, InterruptedScanError, WorkerUnavailableError
from genrify_tagger.pipeline.session import Session


def why_incomplete(session: Session, path: str) -> str | None:
    """Return why a file is to be skipped as incomplete; None if it is complete or the settings allow it.

    Raises
    ------
    InterruptedScanError
        If the run was stopped meanwhile.
    WorkerUnavailableError
        If the worker process did not finish; the file may be incomplete.
    """
    try:
        shortfall = session.workers.find_shortfall(path)
    except (InterruptedScanError, WorkerUnavailableError):
        raise
    except GenrifyError:
        return None  # a file that cannot be read fails later, with its own error
    return incomplete_reason(session, shortfall)


def incomplete_reason(session: Session, shortfall: Shortfall | None) -> str | None:
    """Return why a file with this shortfall is to be skipped; None if it is complete or the settings allow it."""
    if shortfall is None or session.settings.tagging.incomplete:
        return None
    return f"{shortfall}; --incomplete tags it anyway"
