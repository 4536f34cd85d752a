"""Songs dropped on the page: kept in a temporary folder, analysed in worker processes, deleted after a while.

An upload's id cannot be guessed and is known to its sender only. Nothing about it is stored in the database.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from genrify_tagger.errors import GenrifyError, InterruptedScanError
from genrify_tagger.files import printable
from genrify_tagger.library import is_audio
from genrify_tagger.pipeline import Session, TrackReport, inspect_one_off
from genrify_tagger.pipeline.manual import tag_copy

log = logging.getLogger(__name__)

_BLOCK = 1 << 18
_MAX_NAME = 200
_MAX_UPLOADS = 1000  # uploads at a time


class UploadRefusedError(GenrifyError):
    """An upload is refused; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UploadStream(Protocol):
    """Source of an upload's bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""


@dataclass(eq=False)
class Upload:
    """One uploaded song.

    Attributes
    ----------
    id : str
    name : str
        File name from the browser, without folders.
    folder, path : str
        Its temporary folder, and the file in it.
    size : int
        Bytes, copies included.
    state : str
        "waiting", "analysing", "done" or "failed".
    error : str or None
        Why it failed.
    titles : dict of str to str
        Title, artist and album, those that the file has.
    track_report : TrackReport or None
        Result of the analysis, once it is done.
    """

    id: str
    name: str
    folder: str
    path: str
    size: int
    state: str = "waiting"
    error: str | None = None
    titles: dict[str, str] = field(default_factory=dict)
    track_report: TrackReport | None = None
    seen: float = field(default_factory=time.monotonic)


class UploadStore:
    """The uploads that are still kept.

    Parameters
    ----------
    session : Session
    folder : str
        Parent folder.
    largest, room : int
        Maximum bytes of one upload, and of all together.
    keep_seconds : float
        How long an unused upload is kept.
    """

    def __init__(self, session: Session, folder: str, *, largest: int, room: int, keep_seconds: float) -> None:
        self._session = session
        self._folder = os.path.join(folder, "uploads")
        self.largest = largest
        self.room = room
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._uploads: dict[str, Upload] = {}
        self._pool = ThreadPoolExecutor(session.workers.jobs, thread_name_prefix="genrify-uploads")
        self._closed = threading.Event()
        os.mkdir(self._folder, 0o700)
        threading.Thread(target=self._sweep_periodically, name="genrify-uploads-sweep", daemon=True).start()

    def add(self, stream: UploadStream, size: int, name: str) -> Upload:
        """Receive a song and start its analysis.

        Raises
        ------
        UploadRefusedError
            If its name is not an audio file's, it is too large or incomplete, or there is no space.
        """
        name = _safe_name(name)
        if not is_audio(name):
            raise UploadRefusedError("not an audio file name", 415)
        if not 0 < size <= self.largest:
            limit = f"larger than {self.largest >> 20} MB" if size else "empty"
            raise UploadRefusedError(f"the file is {limit}", 413 if size else 400)
        upload = self._reserve(name, size)
        try:
            _copy(stream, upload.path, size)
        except (OSError, UploadRefusedError):
            self.remove(upload.id)
            raise
        self._pool.submit(self._analyse, upload)
        return upload

    def find(self, upload: str) -> Upload | None:
        """Return an upload by id; this extends its life."""
        with self._lock:
            found = self._uploads.get(upload)
        if found is not None:
            found.seen = time.monotonic()
        return found

    def remove(self, upload: str) -> bool:
        """Delete an upload, and return whether it existed."""
        with self._lock:
            found = self._uploads.pop(upload, None)
        if found is not None:
            shutil.rmtree(found.folder, ignore_errors=True)
        return found is not None

    def tagged_copy(self, upload: Upload, genres: tuple[str, ...]) -> str:
        """Return the path of a new copy with these genres; the caller deletes it.

        Raises
        ------
        GenrifyError, OSError
            If it cannot be tagged.
        """
        self._expire(os.path.getsize(upload.path))
        copy = os.path.join(upload.folder, f"{secrets.token_hex(8)}{os.path.splitext(upload.path)[1]}")
        try:
            shutil.copyfile(upload.path, copy)
            tag_copy(self._session, copy, genres)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(copy)
            raise
        return copy

    def close(self) -> None:
        """Stop the analyses."""
        self._closed.set()
        self._session.stop.set()
        self._session.workers.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _reserve(self, name: str, size: int) -> Upload:
        number = secrets.token_urlsafe(18)
        folder = os.path.join(self._folder, secrets.token_hex(8))
        suffix = os.path.splitext(name)[1].lower()
        self._expire(size)
        upload = Upload(number, name, folder, os.path.join(folder, f"song{suffix}"), size)
        with self._lock:
            if self._bytes_used() + size > self.room or len(self._uploads) >= _MAX_UPLOADS:
                raise UploadRefusedError("no space for more songs; remove some, or try again later", 507)
            self._uploads[number] = upload
        os.mkdir(folder, 0o700)
        return upload

    def _expire(self, size: int) -> None:
        """Delete unused uploads, and check that `size` bytes more fit."""
        limit = time.monotonic() - self._keep_seconds
        with self._lock:
            old = [upload.id for upload in self._uploads.values() if upload.seen < limit]
        for upload in old:
            self.remove(upload)
        with self._lock:
            if self._bytes_used() + size > self.room:
                raise UploadRefusedError("no space for more songs; remove some, or try again later", 507)

    def _bytes_used(self) -> int:
        return sum(upload.size for upload in self._uploads.values())

    def _sweep_periodically(self) -> None:
        while not self._closed.wait(min(self._keep_seconds / 4, 60.0)):
            with contextlib.suppress(UploadRefusedError):
                self._expire(0)

    def _analyse(self, upload: Upload) -> None:
        upload.state = "analysing"
        try:
            upload.titles = self._session.workers.read_titles(upload.path)
            upload.track_report = inspect_one_off(self._session, upload.path)
            upload.state = "done"
        except InterruptedScanError:
            upload.error, upload.state = "the server is shutting down", "failed"
        except (GenrifyError, OSError) as error:
            upload.error, upload.state = _error_text(error), "failed"
        except Exception:
            # The page polls the upload until it ends, so an unexpected error must end it, too.
            log.exception("the analysis of an upload failed")
            upload.error, upload.state = "it cannot be analysed", "failed"
            raise


def _error_text(error: GenrifyError | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else error.message) or "it cannot be read"


def _safe_name(name: str) -> str:
    """Return a file name without folders and unprintable characters, shortened but with its suffix."""
    base = printable(name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    stem, suffix = os.path.splitext(base)
    return stem[: _MAX_NAME - len(suffix)] + suffix if len(base) > _MAX_NAME else base


def _copy(stream: UploadStream, path: str, size: int) -> None:
    with open(path, "xb") as target:
        left = size
        while left and (block := stream.read(min(_BLOCK, left))):
            target.write(block)
            left -= len(block)
    if left:
        raise UploadRefusedError("the upload was interrupted", 400)
