"""What all requests share: session, access rules, uploads, media cache, task queue, statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app

from genrify_tagger.pipeline import EmbeddingIndex, Session
from genrify_tagger.web.auth import Auth
from genrify_tagger.web.library_stats import Counts
from genrify_tagger.web.media import Media
from genrify_tagger.web.server_tempdir import open_scratch
from genrify_tagger.web.tasks import Tasks
from genrify_tagger.web.uploads import Uploads

MB = 1 << 20


@dataclass(frozen=True, eq=False)
class AppContext:
    """The shared objects of one server; safe to use from several threads."""

    session: Session
    access: Auth
    uploads: Uploads
    media: Media
    tasks: Tasks
    neighbours: EmbeddingIndex
    counts: Counts


@contextmanager
def open_app_context(session: Session) -> Iterator[AppContext]:
    """Open what the page needs besides a session; on exit the write in progress is finished and uploads are deleted.

    Raises
    ------
    ConfigError
        If others could reach the page without a token.
    """
    web = session.settings.web
    access = Auth(web)
    with open_scratch() as folder:
        half = web.uploads_mb * MB // 2
        uploads = Uploads(session, folder, largest=web.upload_mb * MB, room=half, keep_seconds=web.keep_minutes * 60)
        media = Media(session, folder, room=half)
        tasks = Tasks(session)
        counts = Counts(session)
        counts.last()
        try:
            yield AppContext(session, access, uploads, media, tasks, EmbeddingIndex(session), counts)
        finally:
            tasks.close()
            uploads.close()
            media.close()


def app_context() -> AppContext:
    """Return the house of the request in hand."""
    found: AppContext = current_app.extensions["genrify"]
    return found
