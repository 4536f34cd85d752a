"""The page as a user runs it: `genrify-tag serve` in a separate process, and a plain HTTP client."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.program import Program

CHANGING = {"X-Genrify": "1"}
PATIENCE = 60.0


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


@dataclass
class Page:
    """A running server."""

    process: subprocess.Popen[str]
    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(
        self, path: str, *, expect: int | None = 200, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        """Ask again while the answer is "not yet"."""
        address = f"{path}?{urlencode(query, doseq=True)}" if query else path
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.ask("GET", address, headers=headers)
            if answer.status not in {202, 503} or expect in {202, 503} or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert expect is None or answer.status == expect, (answer.status, answer.body[:500])
        return answer

    def post(self, path: str, body: Any = None, *, status: int | None = 200) -> Any:
        """Carry a change out and wait for it."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.ask("POST", path, data, {**CHANGING, "Content-Type": "application/json"})
        if answer.status == 202:
            answer = self.wait_for(answer.json["id"])
        assert status is None or answer.status == status, (answer.status, answer.body[:500])
        return answer.json

    def wait_for(self, task: str) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while (answer := self.get(f"/api/tasks/{task}")).json["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return answer

    def upload(self, song: Path | bytes, name: str | None = None, *, status: int = 201) -> Any:
        data = song if isinstance(song, bytes) else song.read_bytes()
        shown = name or (song.name if isinstance(song, Path) else "song.mp3")
        answer = self.ask("POST", "/api/uploads", data, {**CHANGING, "X-File-Name": quote(shown)})
        assert answer.status == status, (answer.status, answer.body[:500])
        return answer.json

    def analysed(self, song: Path | bytes, name: str | None = None) -> Any:
        """Upload a song and wait until it is analysed."""
        upload = self.upload(song, name)
        deadline = time.monotonic() + PATIENCE
        while upload["state"] in {"waiting", "analysing"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            upload = self.get(f"/api/uploads/{upload['id']}").json
        return upload

    def track(self, name: str) -> Any:
        """Return the only track of the library whose path has these words, or of several the one so named."""
        found = self.get("/api/tracks", q=name).json["tracks"]
        if len(found) > 1:  # the path of the temporary folder has a number, too
            found = [one for one in found if one["name"].startswith(name)]
        assert len(found) == 1, found
        return found[0]


@contextmanager
def serving(program: Program, *arguments: str, **environment: str) -> Iterator[Page]:
    """Run the page for as long as the block lasts."""
    process = program.start(
        *("serve", "--port", "0", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(**environment),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, (line, process.stderr and process.stderr.read())
        host, _, port = line.rsplit("http://", 1)[1].strip().rstrip("/").rpartition(":")
        yield Page(process, host, int(port))
    finally:
        process.terminate()
        try:
            _, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
