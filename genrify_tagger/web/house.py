"""What all requests share: the session, the dropped songs, prepared media, the changes under way, who may come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app

from genrify_tagger.pipeline import Neighbourhood, Session
from genrify_tagger.web.access import Access
from genrify_tagger.web.media import Media
from genrify_tagger.web.numbers import Counts
from genrify_tagger.web.scratch import open_scratch
from genrify_tagger.web.tasks import Tasks
from genrify_tagger.web.uploads import Uploads

MB = 1 << 20


@dataclass(frozen=True, eq=False)
class House:
    """Everything behind the page; safe to use from several threads."""

    session: Session
    access: Access
    uploads: Uploads
    media: Media
    tasks: Tasks
    neighbours: Neighbourhood
    counts: Counts


@contextmanager
def open_house(session: Session) -> Iterator[House]:
    """Open what the page needs beside a session; at the end a write in hand is finished and uploads are removed.

    Raises
    ------
    ConfigError
        If the settings would open the page to others without a token.
    """
    web = session.settings.web
    access = Access(web)
    with open_scratch() as folder:
        half = web.uploads_mb * MB // 2
        uploads = Uploads(session, folder, largest=web.upload_mb * MB, room=half, keep_seconds=web.keep_minutes * 60)
        media = Media(session, folder, room=half)
        tasks = Tasks(session)
        counts = Counts(session)
        counts.last()
        try:
            yield House(session, access, uploads, media, tasks, Neighbourhood(session), counts)
        finally:
            tasks.close()
            uploads.close()
            media.close()


def house() -> House:
    """Return the house of the request in hand."""
    found: House = current_app.extensions["genrify"]
    return found
