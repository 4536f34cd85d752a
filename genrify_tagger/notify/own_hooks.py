"""The user's own ways to tell something that files have changed: a shell command, and a URL to request."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

from genrify_tagger.errors import PlayerError
from genrify_tagger.notify.changed_files import ChangedFiles
from genrify_tagger.notify.http_request import request

COMMAND_SECONDS = 120.0
STEP_SECONDS = 0.2  # between two looks at whether to stop
OUTPUT_TAIL = 4096  # bytes at the end of a command's output that are searched for its last line


def call_url(text: str, *, seconds: float) -> str:
    """Request a URL, perhaps with a method in front of it (``POST http://...``).

    Raises
    ------
    PlayerError
        If the request fails.
    """
    method, _, address = text.strip().rpartition(" ")
    request(address, method=method.strip().upper() or "GET", redirects=True, seconds=seconds)
    return "answered"


def run_command(command: str, changed: ChangedFiles, stop: threading.Event) -> str:
    """Run a shell command and wait for it; kill it after two minutes or when `stop` is set.

    Raises
    ------
    PlayerError
        If it fails.
    """
    environment = {**os.environ, "GENRIFY_RUN": str(changed.run), "GENRIFY_TAGGED": str(changed.number)}
    environment.pop("NOTIFY_SOCKET", None)  # the command must not send systemd messages as the service
    try:
        # A file, not a pipe: background processes of the command may keep it open.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            return _wait_for_command(process, output, stop)
    except OSError as error:
        raise PlayerError(f"the command cannot be run: {error.strerror or error}") from error


def _wait_for_command(process: subprocess.Popen[bytes], output: IO[bytes], stop: threading.Event) -> str:
    deadline = time.monotonic() + COMMAND_SECONDS
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(STEP_SECONDS)
            break
        if stop.is_set() or time.monotonic() > deadline:
            _kill(process)
            process.wait()
            raise PlayerError("was stopped" if stop.is_set() else f"took longer than {COMMAND_SECONDS:g} seconds")
    if status == 0:
        return "succeeded"
    output.seek(max(output.seek(0, os.SEEK_END) - OUTPUT_TAIL, 0))
    lines = output.read().decode("utf-8", "replace").strip().splitlines()
    raise PlayerError(f"ended with status {status}{f' ({lines[-1]})' if lines else ''}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        else:
            os.killpg(process.pid, signal.SIGKILL)
