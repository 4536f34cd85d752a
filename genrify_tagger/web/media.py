"""Cache of what is rendered from a song (pictures, Opus, covers), and sending files with byte ranges."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass, field
from typing import BinaryIO

from flask import Response, abort, request

from genrify_tagger import open_files
from genrify_tagger.errors import GenrifyError
from genrify_tagger.pipeline import Session

_THREADS = 2
_FAILED_SECONDS = 30.0  # after which a failed rendering is tried again
_BLOCK = 1 << 16
_WAITING_REQUESTS = 3  # requests that may wait for a worker process at a time; the server has more threads
_SLOT_SECONDS = 0.5
_JSON = "application/json"

Artifacts = Mapping[str, bytes]

#: What browsers play natively, by suffix. AAC and ALAC share one: the page asks for Opus if the browser cannot play it.
PLAYABLE_TYPES = {
    **dict.fromkeys((".mp3", ".mp2", ".mpga"), "audio/mpeg"),
    ".flac": "audio/flac",
    **dict.fromkeys((".wav", ".wave"), "audio/wav"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "audio/ogg"),
    **dict.fromkeys((".m4a", ".m4b", ".mp4"), "audio/mp4"),
    ".aac": "audio/aac",
    **dict.fromkeys((".webm", ".weba"), "audio/webm"),
}
OPUS_TYPE = "audio/webm"


@dataclass(eq=False)
class _Entry:
    future: Future[dict[str, str]]
    begun: float = field(default_factory=time.monotonic)
    size: int = 0


class MediaCache:
    """Files rendered by worker processes in the background, kept in a least-recently-used cache.

    Parameters
    ----------
    session : Session
    folder : str
        Where to keep them.
    room : int
        Bytes that the cache may take up.
    """

    def __init__(self, session: Session, folder: str, *, room: int) -> None:
        self.session = session
        self._folder = os.path.join(folder, "media")
        self._room = room
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="genrify-media")
        self._slots = threading.BoundedSemaphore(_WAITING_REQUESTS)
        os.mkdir(self._folder, 0o700)

    def request_artifacts(self, key: str, make: Callable[[], Artifacts], *, wait: float = 0.3) -> dict[str, str] | None:
        """Return the paths of the files that `make` renders, by name; None if it takes longer than `wait` seconds.

        Parameters
        ----------
        key : str
            Identifies what is rendered: kind, song and version.
        make : callable
            Renders the files; called once, in another thread.
        wait : float

        Raises
        ------
        GenrifyError
            If rendering failed.
        """
        with self._lock:
            made = self._entries.get(key)
            if made is None or (_failed(made) and time.monotonic() - made.begun > _FAILED_SECONDS):
                made = self._entries[key] = _Entry(self._pool.submit(self._store, key, make))
            self._entries.move_to_end(key)
        try:
            return made.future.result(wait)
        except NotYetError:
            return None

    def path_of(self, key: str, name: str) -> str | None:
        """Return the path of a rendered file; None if there is none."""
        with self._lock:
            made = self._entries.get(key)
            if made is None or not made.future.done() or made.future.exception() is not None:
                return None
            self._entries.move_to_end(key)
        return made.future.result().get(name)

    @contextlib.contextmanager
    def worker_slot(self) -> Iterator[None]:
        """Let a request wait for a worker process; if too many wait already, respond with "503, try again"."""
        if not self._slots.acquire(timeout=_SLOT_SECONDS):
            abort(Response('{"error":"busy; try again"}', 503, {"Retry-After": "1"}, mimetype=_JSON))
        try:
            yield
        finally:
            self._slots.release()

    def close(self) -> None:
        """Stop rendering."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _store(self, key: str, make: Callable[[], Artifacts]) -> dict[str, str]:
        parts = make()
        stem = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        paths = {}
        for name, data in parts.items():
            paths[name] = os.path.join(self._folder, f"{stem}-{name}")
            with open(paths[name], "wb") as target:
                target.write(data)
        with self._lock:
            if key in self._entries:
                self._entries[key].size = sum(map(len, parts.values()))
            self._evict()
        return paths

    def _evict(self) -> None:
        taken = sum(made.size for made in self._entries.values())
        for key in list(self._entries):
            if taken <= self._room:
                return
            made = self._entries[key]
            if made.future.done():
                taken -= made.size
                del self._entries[key]
                for path in made.future.result().values() if not _failed(made) else ():
                    with contextlib.suppress(OSError):
                        os.unlink(path)


def _failed(made: _Entry) -> bool:
    return made.future.done() and made.future.exception() is not None


def open_regular_file(path: str) -> BinaryIO:
    """Open a regular file; refuse paths that lead through a symbolic link.

    Raises
    ------
    GenrifyError
        If it is gone, or is not a regular file any more.
    """
    try:
        if os.path.realpath(path) != path:
            raise GenrifyError("the file has been moved")
        flags = open_files.READ | open_files.NO_FOLLOW
        opened = os.open(path, flags)
    except OSError as error:
        raise GenrifyError(f"the file cannot be read: {(error.strerror or str(error)).lower()}") from error
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise GenrifyError("this is not a regular file")
    return os.fdopen(opened, "rb")


def _requested_range(version: str) -> tuple[int, int | None] | None:
    """Return first byte and end of the range that a request asks for; None for all that is answered with the whole.

    That is several ranges, other units than bytes, and a range of another version.
    """
    asked, of = request.range, request.if_range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    # Versions are compared by their ETag only, never by a date.
    return asked.ranges[0] if "If-Range" not in request.headers or of.etag == version else None


def _clip_range(asked: tuple[int, int | None], size: int) -> tuple[int, int]:
    """Clip a range to a file of `size` bytes."""
    start, end = asked
    return (max(start, -size) + size if start < 0 else start), (size if end is None else min(end, size))


def send_file(file: BinaryIO, media_type: str, *, download: str | None = None) -> Response:
    """Respond with an open file, or with the requested range of it.

    The server reads the file while it sends: no thread waits for a slow client.

    Parameters
    ----------
    file : BinaryIO
        Closed when it has been sent.
    media_type : str
    download : str or None
        Under which name to save it; None to play it.
    """
    status = os.fstat(file.fileno())
    version = f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
    asked = _requested_range(version)
    start, stop = _clip_range(asked or (0, None), status.st_size)
    code = 200 if asked is None else 206
    if start >= stop and code == 206:
        file.close()
        return Response(status=416, headers={"Content-Range": f"bytes */{status.st_size}"})
    if request.method == "HEAD":
        file.close()
        response = Response(status=code, mimetype=media_type)
    else:
        file.seek(start)
        wrapper = request.environ["wsgi.file_wrapper"]
        response = Response(wrapper(file, _BLOCK), code, mimetype=media_type, direct_passthrough=True)
    if code == 206:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{status.st_size}"
    response.content_length = stop - start
    response.headers["Accept-Ranges"] = "bytes"
    response.set_etag(version)
    response.headers["Cache-Control"] = "private, max-age=600"
    if download is not None:
        response.headers.set("Content-Disposition", "attachment", filename=download)
    return response
