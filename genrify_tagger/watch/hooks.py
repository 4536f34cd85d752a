"""Telling a media server that files have changed: a command of the user's, or an address to be called."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

COMMAND_SECONDS = 120.0
CALL_SECONDS = 30.0
_CALL = re.compile(r"(?:(GET|POST|PUT) +)?(https?://\S+)", re.IGNORECASE)


class Hook:
    """What is done after a batch; one at a time, and once more if batches ended meanwhile.

    Parameters
    ----------
    action : str
        A shell command; or an address (``http://...``), perhaps behind a method (``POST http://...``). Empty: nothing.
    """

    def __init__(self, action: str) -> None:
        self._action = action.strip()
        self._lock = threading.Lock()
        self._waiting: tuple[int, int] | None = None
        self._worker: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fire(self, run: int, tagged: int) -> None:
        """Have it done in the background.

        Parameters
        ----------
        run : int
            The run that ended; the command finds it in ``GENRIFY_RUN``.
        tagged : int
            How many files were tagged in it; ``GENRIFY_TAGGED``.
        """
        if not self._action:
            return
        with self._lock:
            self._waiting = (run, tagged + (self._waiting[1] if self._waiting else 0))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="genrify-hook", daemon=True)
                self._worker.start()

    def close(self, seconds: float = 1.0) -> None:
        """Give what is being done a moment to end, and end it."""
        worker = self._worker
        if worker is None:
            return
        worker.join(seconds)
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
            call = _CALL.fullmatch(self._action)
            problem = _called(call[1], call[2]) if call else self._run(run, tagged)
            if problem:
                log.warning("watch.after_batch: %s: %s", _named(self._action), problem)

    def _run(self, run: int, tagged: int) -> str | None:
        environment = {**os.environ, "GENRIFY_RUN": str(run), "GENRIFY_TAGGED": str(tagged)}
        environment.pop("NOTIFY_SOCKET", None)  # it is not the command's to speak to systemd
        self._process = subprocess.Popen(
            self._action,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            output, _ = self._process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(self._process)
            self._process.communicate()
            return f"took longer than {COMMAND_SECONDS:g} seconds"
        finally:
            process, self._process = self._process, None
        if process.returncode == 0:
            return None
        words = output.decode("utf-8", "replace").strip().splitlines()
        return f"ended with status {process.returncode}{f' ({words[-1]})' if words else ''}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _called(method: str | None, address: str) -> str | None:
    request = urllib.request.Request(address, method=(method or "GET").upper())
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:
            answer.read(1 << 20)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"{getattr(error, 'code', '')} {reason}".strip()
    return None


def _named(action: str) -> str:
    """Return the action without what may be secret: an address's parameters hold keys and passwords."""
    call = _CALL.fullmatch(action)
    if not call:
        return action
    parts = urlsplit(call[2])
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
