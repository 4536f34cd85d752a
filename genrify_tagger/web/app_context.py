"""What all requests share: the session, the dropped songs, prepared media, the changes under way, who may come in."""

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
    """Everything behind the page; safe to use from several threads."""

    session: Session
    access: Auth
    uploads: Uploads
    media: Media
    tasks: Tasks
    neighbours: EmbeddingIndex
    counts: Counts


@contextmanager
def open_app_context(session: Session) -> Iterator[AppContext]:
    """Open what the page needs beside a session; at the end a write in hand is finished and uploads are removed.

    Raises
    ------
    ConfigError
        If the settings would open the page to others without a token.
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
