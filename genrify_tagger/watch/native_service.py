"""Install a service that is a file and some commands: launchd's on macOS, the Task Scheduler's on Windows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from genrify_tagger import open_files
from genrify_tagger.errors import GenrifyError


@dataclass(frozen=True)
class NativeService:
    """What describes a service to the system's own manager.

    Attributes
    ----------
    manager : str
        Its name, for messages.
    path, content : str, bytes
        The file that defines the service.
    start, stop : sequence of command lines
        What starts it, now and from the next login on, and what ends and forgets it.
    ask : command line
        Succeeds if the manager knows the service.
    """

    manager: str
    path: str
    content: bytes
    start: Sequence[Sequence[str]]
    stop: Sequence[Sequence[str]]
    ask: Sequence[str]

    @property
    def text(self) -> str:
        """The file's content as text."""
        return self.content.decode("utf-16" if self.content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")

    def install(self, *, start: bool = True) -> None:
        """Write the file, and start the service; one that is running is replaced.

        Raises
        ------
        GenrifyError
            If that is not possible.
        """
        if start and self.is_known():
            self._stop()
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            open_files.write_file(self.path, self.content)
        except OSError as error:
            raise GenrifyError(f"cannot be written: {error.strerror}", path=self.path) from error
        for command in self.start if start else ():
            done = _run(command)
            if done.returncode:
                raise GenrifyError(f"{' '.join(command[:2])} failed: {_last_line(done)}", path=self.path)

    def uninstall(self) -> None:
        """Stop the service and remove its file.

        Raises
        ------
        GenrifyError
            If that is not possible.
        """
        self._stop()
        try:
            os.unlink(self.path)
        except OSError as error:
            raise GenrifyError(f"cannot be removed: {error.strerror}", path=self.path) from error

    def is_known(self) -> bool:
        """Return whether the manager knows the service."""
        return _run(self.ask).returncode == 0

    def _stop(self) -> None:
        """Stop it; that one of the commands fails because it does not run is fine."""
        for command in self.stop:
            _run(command)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error.strerror}")


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    words = (done.stderr or done.stdout).strip().splitlines()
    return words[-1] if words else f"status {done.returncode}"
