"""What all requests share: session, auth rules, uploads, media cache, task queue, statistics, background jobs."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app

from genrify_tagger.notify import ChangedFiles, PlayerNotifier
from genrify_tagger.pipeline import EmbeddingIndex, Session
from genrify_tagger.web.audit_list import AuditList, make_audit_list
from genrify_tagger.web.auth import Auth
from genrify_tagger.web.background_job import BackgroundJob
from genrify_tagger.web.learning import LearningOutcome, learn_from_library
from genrify_tagger.web.library_stats import LibraryStats
from genrify_tagger.web.media import MediaCache
from genrify_tagger.web.server_tempdir import open_server_tempdir
from genrify_tagger.web.tasks import TaskQueue
from genrify_tagger.web.uploads import UploadStore

MB = 1 << 20
NOTIFY_DELAY = 3.0  # seconds in which players are told of several changes at once


@dataclass(frozen=True, eq=False)
class AppContext:
    """The shared objects of one server; safe to use from several threads."""

    session: Session
    auth: Auth
    uploads: UploadStore
    media: MediaCache
    tasks: TaskQueue
    embedding_index: EmbeddingIndex
    stats: LibraryStats
    audit: BackgroundJob[AuditList]
    learning: BackgroundJob[LearningOutcome]

    @property
    def base_path(self) -> str:
        """The path below which the page is served; "" for the root."""
        return self.session.settings.web.base_path.rstrip("/")


@contextmanager
def open_app_context(session: Session) -> Iterator[AppContext]:
    """Open what the page needs besides a session; on exit the write in progress is finished and uploads are deleted.

    Raises
    ------
    ConfigError
        If others could reach the page without a token.
    """
    web = session.settings.web
    auth = Auth(web)
    with open_server_tempdir() as folder:
        half = web.uploads_mb * MB // 2
        uploads = UploadStore(
            session, folder, largest=web.upload_mb * MB, room=half, keep_seconds=web.keep_minutes * 60
        )
        media = MediaCache(session, folder, room=half)
        stats = LibraryStats(session)
        players = PlayerNotifier(session.settings.notify, delay=NOTIFY_DELAY)

        def finish_task(changed: ChangedFiles) -> None:
            stats.invalidate()
            if changed.number:
                players.notify(changed)

        tasks = TaskQueue(session, on_done=finish_task)
        stats.latest()
        turn = threading.Lock()  # each of the two jobs may need a gigabyte
        audit = BackgroundJob(functools.partial(make_audit_list, session), turn)
        learning = BackgroundJob(functools.partial(learn_from_library, session), turn)
        try:
            yield AppContext(session, auth, uploads, media, tasks, EmbeddingIndex(session), stats, audit, learning)
        finally:
            tasks.close()
            players.close()
            audit.close()
            learning.close()
            uploads.close()
            media.close()


def app_context() -> AppContext:
    """Return the context of the current request."""
    found: AppContext = current_app.extensions["genrify"]
    return found
