"""The installed program, run as a user runs it: in a separate process, with its own home and database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import fork_server


@dataclass
class Program:
    """`genrify-tag` with everything it keeps in a temporary home."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / ".local/share/genrify-tagger/library.db"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GENRIFY_", "XDG_"))}
        return {**kept, "HOME": str(self.home), "COLUMNS": "200", "NO_COLOR": "1", **more}

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes | Path]:
        script = Path(sys.executable).with_name("genrify-tag")
        start = [str(script)] if script.exists() else [shutil.which("genrify-tag") or "genrify-tag"]
        return [*start, *arguments]

    def __call__(
        self, *arguments: str | bytes | Path, status: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = fork_server.run(self.command(*arguments), self.environment(**environment), errors="replace")
        assert "Traceback" not in done.stderr, done.stderr
        if status is not None:
            assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *arguments: str | bytes | Path, **options: Any) -> subprocess.Popen:
        """Start it in the background, with the options of `subprocess.Popen`."""
        options.setdefault("env", self.environment())
        return fork_server.start(self.command(*arguments), options.pop("env"), **options)

    def scan(self, *arguments: str | bytes | Path, status: int | None = 0, **environment: str) -> list[dict]:
        done = self("scan", "--format", "jsonl", *arguments, status=status, **environment)
        return [json.loads(line) for line in done.stdout.splitlines()]
