"""The running service for tests: a process of the installed program, its state, database and log."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mutagen
from mediafile import FileTypeError, MediaFile, UnreadableFileError

from genrify_tagger.config import load_settings
from genrify_tagger.watch.service_state import service_state
from tests import media
from tests.program import Program

PATIENCE = 60.0
SURE = ("--min-confidence", "0.05")  # the short clips are no test of the model: what it hears is written


def until(condition: Callable[[], Any], *, seconds: float = PATIENCE, what: str = "") -> Any:
    """Wait for something to come true, and return what it came to."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what[-3000:] or "it did not happen"
        time.sleep(0.05)
    return found


@dataclass
class Watching:
    """A service under test."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    closed: list[int] = field(default_factory=list)

    @property
    def words(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def state(self) -> dict[str, Any] | None:
        settings = load_settings(environ={}, overrides={"database.url": str(self.program.database)}).settings
        return service_state(settings)

    def is_idle(self) -> bool:
        state = self.state()
        return state is not None and state["phase"] == "idle" and state["queue"] == 0

    def rest(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until the service has been idle for a while, and return the state."""

        def quiet() -> bool:
            for _ in range(5):
                if not self.is_idle():
                    return False
                time.sleep(0.4)
            return True

        until(quiet, seconds=seconds, what=self.words)
        state = self.state()
        assert state is not None
        return state

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return query(self.program.database, sql, *values)

    def files(self) -> dict[str, tuple[str, bool]]:
        """Return status and whether it is there, by path."""
        rows = self.query("SELECT path, status, missing_since FROM files")
        return {path.decode(): (status, missing is None) for path, status, missing in rows}

    def tagged(self, path: Path, seconds: float = PATIENCE) -> list[str]:
        """Wait for a genre in a file."""
        return until(lambda: genre(path), seconds=seconds, what=f"{path} was not tagged\n{self.words}")

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(timeout=seconds)
        assert "Traceback" not in self.words, self.words
        return status


def query(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(database, timeout=30)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def genre(path: Path) -> list[str]:
    """Return the genres in a file; none if it is not there or cannot be read yet."""
    try:
        if path.suffix in {".oga", ".spx"}:  # mediafile knows neither FLAC in Ogg nor Speex
            return list(mutagen.File(path).get("genre", []))
        return list(MediaFile(path).genres or [])
    except (OSError, mutagen.MutagenError, FileTypeError, UnreadableFileError):
        return []


@contextmanager
def watching(
    program: Program,
    *arguments: str | Path,
    settle: float = 1,
    prefix: Sequence[str] = (),
    ready: bool = True,
    options: Sequence[str] = SURE,
    **environment: str,
) -> Iterator[Watching]:
    """Run the service until the end of the `with` block, from the end of its first scan on."""
    log = program.home / f"watch-{time.monotonic_ns()}.log"
    words = ("watch", *options, "--settle", str(settle), *arguments)
    with log.open("wb") as output:
        streams = {"env": program.environment(**environment), "stdout": output, "stderr": output}
        if prefix:
            process = subprocess.Popen([*prefix, *program.command(*words)], **streams)
        else:
            process = program.start(*words, **streams)
    service = Watching(program, process, log)
    try:
        if ready:
            until(
                lambda: process.poll() is not None or ((s := service.state()) is not None and s["phase"] != "starting"),
                what="the service did not start",
            )
            assert process.poll() is None, service.words
        yield service
        if process.poll() is None:
            service.end()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def song(folder: Path, name: str = "song", kind: str = "mp3-v2.3", *, number: int = 0, **more: Any) -> Path:
    """Put a song into a folder; another `number` gives a song with other audio and another key."""
    made = media.make(kind, folder, name, **more)
    if number:
        assert kind == "flac"
        made.unlink()
        media.ffmpeg("-ss", f"{number / 7:.3f}", "-i", media.JAZZ, "-t", "3", "-map_metadata", "-1", made)
    return made


def changes(service: Watching | Program) -> list[dict[str, Any]]:
    """Return the journal of all changes that were done, as JSON-able dictionaries, oldest first."""
    program = service if isinstance(service, Program) else service.program
    keys = ("id", "path", "origin", "state", "stat_before", "undone_by", "run")
    rows = query(program.database, f"SELECT {', '.join(keys)} FROM changes ORDER BY id")
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    return [{**row, "path": row["path"].decode()} for row in found]


def logged(service: Watching) -> list[dict[str, Any]]:
    """Return the log's lines, where they are JSON."""
    return [json.loads(line) for line in service.words.splitlines()]
