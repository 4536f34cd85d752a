"""Leave files alone that are incomplete by their own account: a download that resumes would damage a changed one."""

from __future__ import annotations

from genrify_tagger.errors import GenrifyError, InterruptedScanError
from genrify_tagger.pipeline.session import Session


def why_incomplete(session: Session, path: str) -> str | None:
    """Return why a file is to be left alone as incomplete; None if it is whole or the settings allow it.

    Raises
    ------
    InterruptedScanError
        If the run was stopped meanwhile.
    """
    if session.settings.tagging.incomplete:
        return None
    try:
        shortfall = session.workers.find_shortfall(path)
    except InterruptedScanError:
        raise
    except GenrifyError:
        return None  # what cannot be read fails elsewhere, under its own name
    return f"{shortfall}; --incomplete tags it all the same" if shortfall else None
