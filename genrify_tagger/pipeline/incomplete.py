"""Skip incomplete files: a download that resumes would damage a file that was tagged in between."""

from __future__ import annotations

from genrify_tagger.errors import GenrifyError, InterruptedScanError
from genrify_tagger.pipeline.session import Session


def why_incomplete(session: Session, path: str) -> str | None:
    """Return why a file is to be skipped as incomplete; None if it is complete or the settings allow it.

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
        return None  # a file that cannot be read fails later, with its own error
    return f"{shortfall}; --incomplete tags it anyway" if shortfall else None
