"""Songs dropped on the page: kept in the temporary folder, heard in worker processes, removed after a while.

An upload is known by an id that nobody can guess, and to nobody but who has that id. The store keeps nothing of it.
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
from genrify_tagger.pipeline import Session, TrackReport, analyse_one_off, is_audio, read_titles, tag_copy

log = logging.getLogger(__name__)

_BLOCK = 1 << 18
_LONGEST_NAME = 200
_MOST = 1000  # uploads at a time


class UploadRefusedError(GenrifyError):
    """An upload is not taken; `status` is the HTTP status that says so."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UploadStream(Protocol):
    """What an upload is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""


@dataclass(eq=False)
class Upload:
    """One dropped song.

    Attributes
    ----------
    id : str
    name : str
        The file's name as the browser gave it, without folders.
    folder, path : str
        Where it is kept.
    size : int
        Bytes, copies included.
    state : str
        "waiting", "listening", "done" or "failed".
    error : str or None
        Why it failed.
    titles : dict of str to str
        Title, artist and album, those that the file has.
    track_report : TrackReport or None
        What was heard, once it is done.
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


class Uploads:
    """All dropped songs that are still kept.

    Parameters
    ----------
    session : Session
    folder : str
        Where to keep them.
    largest, room : int
        Bytes that one upload, and all together, may take up.
    keep_seconds : float
        How long one is kept that nobody asks for.
    """

    def __init__(self, session: Session, folder: str, *, largest: int, room: int, keep_seconds: float) -> None:
        self._session = session
        self._folder = os.path.join(folder, "uploads")
        self.largest = largest
        self.room = room
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._uploads: dict[str, Upload] = {}
        self._ears = ThreadPoolExecutor(session.workers.jobs, thread_name_prefix="genrify-uploads")
        self._closed = threading.Event()
        os.mkdir(self._folder, 0o700)
        threading.Thread(target=self._sweep_at_times, name="genrify-uploads-sweep", daemon=True).start()

    def receive(self, stream: UploadStream, size: int, name: str) -> Upload:
        """Take a song in and begin to listen to it.

        Raises
        ------
        UploadRefusedError
            If it is no song by its name, too large, cut off, or there is no room.
        """
        name = _plain_name(name)
        if not is_audio(name):
            raise UploadRefusedError("this is no audio file by its name", 415)
        if not 0 < size <= self.largest:
            limit = f"larger than {self.largest >> 20} MB" if size else "empty"
            raise UploadRefusedError(f"the file is {limit}", 413 if size else 400)
        upload = self._place_for(name, size)
        try:
            _copy(stream, upload.path, size)
        except (OSError, UploadRefusedError):
            self.remove(upload.id)
            raise
        self._ears.submit(self._listen, upload)
        return upload

    def find(self, upload: str) -> Upload | None:
        """Return an upload by its id, which keeps it for another while."""
        with self._lock:
            found = self._uploads.get(upload)
        if found is not None:
            found.seen = time.monotonic()
        return found

    def remove(self, upload: str) -> bool:
        """Remove an upload and all that was made of it; return whether there was one."""
        with self._lock:
            found = self._uploads.pop(upload, None)
        if found is not None:
            shutil.rmtree(found.folder, ignore_errors=True)
        return found is not None

    def tagged(self, upload: Upload, genres: tuple[str, ...]) -> str:
        """Return the path of a fresh copy that has these genres; whoever has read it removes it.

        Raises
        ------
        GenrifyError, OSError
            If it cannot be tagged.
        """
        self._make_room(os.path.getsize(upload.path))
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
        """Listen to no more."""
        self._closed.set()
        self._session.stop.set()
        self._session.workers.interrupt()
        self._ears.shutdown(wait=True, cancel_futures=True)

    def _place_for(self, name: str, size: int) -> Upload:
        number = secrets.token_urlsafe(18)
        folder = os.path.join(self._folder, secrets.token_hex(8))
        suffix = os.path.splitext(name)[1].lower()
        self._make_room(size)
        upload = Upload(number, name, folder, os.path.join(folder, f"song{suffix}"), size)
        with self._lock:
            if self._taken() + size > self.room or len(self._uploads) >= _MOST:
                raise UploadRefusedError("there is no room for more songs; remove some, or try again later", 507)
            self._uploads[number] = upload
        os.mkdir(folder, 0o700)
        return upload

    def _make_room(self, size: int) -> None:
        """Remove what has been left alone for long."""
        limit = time.monotonic() - self._keep_seconds
        with self._lock:
            old = [upload.id for upload in self._uploads.values() if upload.seen < limit]
        for upload in old:
            self.remove(upload)
        with self._lock:
            if self._taken() + size > self.room:
                raise UploadRefusedError("there is no room for more songs; remove some, or try again later", 507)

    def _taken(self) -> int:
        return sum(upload.size for upload in self._uploads.values())

    def _sweep_at_times(self) -> None:
        while not self._closed.wait(min(self._keep_seconds / 4, 60.0)):
            with contextlib.suppress(UploadRefusedError):
                self._make_room(0)

    def _listen(self, upload: Upload) -> None:
        upload.state = "listening"
        try:
            upload.titles = read_titles(self._session, upload.path)
            upload.track_report = analyse_one_off(self._session, upload.path)
            upload.state = "done"
        except InterruptedScanError:
            upload.error, upload.state = "the page is being closed", "failed"
        except (GenrifyError, OSError) as error:
            upload.error, upload.state = _words(error), "failed"
        except Exception:
            # Nobody waits for this thread's result: what is unexpected must show on the page as well.
            log.exception("listening to an upload failed")
            upload.error, upload.state = "it cannot be listened to", "failed"
            raise


def _words(error: GenrifyError | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else error.message) or "it cannot be read"


def _plain_name(name: str) -> str:
    """Return a file's name without folders and without what does not print, not too long, its suffix kept."""
    base = printable(name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    stem, suffix = os.path.splitext(base)
    return stem[: _LONGEST_NAME - len(suffix)] + suffix if len(base) > _LONGEST_NAME else base


def _copy(stream: UploadStream, path: str, size: int) -> None:
    with open(path, "xb") as target:
        left = size
        while left and (block := stream.read(min(_BLOCK, left))):
            target.write(block)
            left -= len(block)
    if left:
        raise UploadRefusedError("the upload was cut off", 400)
