"""Run the user's hook after a batch, for example to tell a media server: a shell command or an HTTP call."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import signal
import string
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import quote, urlsplit

log = logging.getLogger(__name__)

COMMAND_SECONDS = 120.0
CALL_SECONDS = 30.0
OUTPUT_TAIL = 4096  # bytes at the end of a command's output that are searched for its last line
_CALL = re.compile(r"(?:(GET|POST|PUT) +)?(https?://\S+)", re.IGNORECASE)


class Hook:
    """Runs the action after a batch: one at a time, and once more if batches ended meanwhile.

    Attributes
    ----------
    action : str
        A shell command, or a URL (``http://...``), perhaps after a method (``POST http://...``). Empty: nothing.
    """

    def __init__(self, action: str = "") -> None:
        self.action = action
        self._lock = threading.Lock()
        self._waiting: tuple[int, int] | None = None
        self._worker: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no action runs or waits."""
        return self._worker is None

    def fire(self, run: int, tagged: int) -> None:
        """Run the action in the background.

        Parameters
        ----------
        run : int
            The run that ended; the command finds it in ``GENRIFY_RUN``.
        tagged : int
            How many files were tagged in it; ``GENRIFY_TAGGED``.
        """
        if not self.action.strip():
            return
        with self._lock:
            self._waiting = (run, tagged + (self._waiting[1] if self._waiting else 0))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="genrify-hook", daemon=True)
                self._worker.start()

    def close(self, seconds: float = 1.0) -> None:
        """Give a running action a moment to finish, then kill it."""
        worker = self._worker
        if worker is None:
            return
        worker.join(seconds)
        with self._lock:
            self._waiting = None
        if self._process is not None:
            _kill(self._process)
            worker.join(1)

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._waiting is None:
                    self._worker = None
                    return
                (run, tagged), self._waiting = self._waiting, None
            action = self.action.strip()
            call = _CALL.fullmatch(action)
            problem = _call_url(call[1], call[2]) if call else self._run(action, run, tagged)
            if problem:
                log.warning("watch.after_batch: %s", problem)

    def _run(self, action: str, run: int, tagged: int) -> str | None:
        environment = {**os.environ, "GENRIFY_RUN": str(run), "GENRIFY_TAGGED": str(tagged)}
        environment.pop("NOTIFY_SOCKET", None)  # the command must not send systemd messages as the service
        try:
            # A file, not a pipe: background processes of the command may keep it open.
            with tempfile.TemporaryFile() as output:
                self._process = subprocess.Popen(
                    action,
                    shell=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
                return _wait_for_command(self._process, output)
        except OSError as error:
            return f"the command cannot be run: {error.strerror or error}"
        finally:
            self._process = None


def _wait_for_command(process: subprocess.Popen[bytes], output: IO[bytes]) -> str | None:
    """Wait for a command; return what went wrong, None if nothing did."""
    try:
        status = process.wait(COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
        return f"the command took longer than {COMMAND_SECONDS:g} seconds"
    if status == 0:
        return None
    output.seek(max(output.seek(0, os.SEEK_END) - OUTPUT_TAIL, 0))
    words = output.read().decode("utf-8", "replace").strip().splitlines()
    return f"the command ended with status {status}{f' ({words[-1]})' if words else ''}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _call_url(method: str | None, address: str) -> str | None:
    """Request a URL; return what went wrong, None if nothing did."""
    try:
        name = _without_secrets(address)
        request = urllib.request.Request(quote(address, safe=string.punctuation), method=(method or "GET").upper())
        with urllib.request.urlopen(request, timeout=CALL_SECONDS):
            return None
    except OSError as error:
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        return f"{name}: {code}{getattr(error, 'reason', None) or error}"
    except (ValueError, http.client.InvalidURL):
        return "the URL is not valid"
    except http.client.HTTPException:
        return f"{name}: the answer is not HTTP"


def _without_secrets(address: str) -> str:
    """Return a URL without its query, user name and password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
