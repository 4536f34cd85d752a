"""The database in trouble while the installed program writes: plain messages, and no change without journal entry."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.program import Program
from tests.torture import songs
from tests.torture.songs import GENRE, Song
from tests.torture.state import check_journal, strays

SPECIMENS = ("mp3-v2.3:", "flac-tight", "opus:", "m4a-aac:")


@pytest.fixture
def library(tmp_path) -> list[Song]:
    return [
        songs.place(specimen, tmp_path / "music", name=f"{number}-{specimen.replace(':', '-')}")
        for specimen in SPECIMENS
        for number in range(5)
    ]


def setting(program: Program, library: list[Song]) -> list[str]:
    return ["set", *(str(song.path) for song in library), GENRE]


def scanning(library: list[Song]) -> list[str]:
    return ["scan", str(library[0].path.parent), "--existing", "replace", "--min-confidence", "0.01", "--segments", "1"]


def begun(program: Program, command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command and wait for its first result."""
    process = subprocess.Popen(
        program.command(*command, "--format", "jsonl"),
        env=program.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    return process


def ended(process: subprocess.Popen[str]) -> str:
    """Return the line in which the program reports why it ended."""
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "Traceback" not in err
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize("command", ["set", "scan"])
def test_locked_by_another_process(program, library, tmp_path, command):
    program("scan", "--dry-run", tmp_path / "music")
    url = f"sqlite:///{program.database}?timeout=1"  # the default is 30 s
    words = setting(program, library) if command == "set" else scanning(library)
    process = begun(program, words, GENRIFY_DATABASE__URL=url)
    with closing(sqlite3.connect(program.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        line = ended(process)
    assert "another program has locked the database for too long; find out what else uses it" in line
    program("undo", "--dry-run", status=None)
    assert strays(tmp_path / "music") == []
    with closing(sqlite3.connect(program.database)) as database:
        pending = database.execute("SELECT count(*) FROM changes WHERE state = 'pending'").fetchone()
    assert pending == (0,)
    program(*setting(program, library))
    assert check_journal(str(program.database), library) == len(library)


def test_locked_from_the_start(program, library):
    program("scan", "--dry-run", library[0].path)
    url = f"sqlite:///{program.database}?timeout=1"
    with closing(sqlite3.connect(program.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = program(*setting(program, library), status=1, GENRIFY_DATABASE__URL=url)
    assert "locked the database for too long" in done.stderr and len(done.stderr.splitlines()) == 1
    assert all(song.is_old() for song in library)


def test_killed_while_another_program_is_in_a_transaction(program, library):
    program("scan", "--dry-run", library[0].path)
    script = (
        "import sqlite3, sys, time\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "database.execute('DELETE FROM analyses')\n"
        "print('begun', flush=True)\n"
        "time.sleep(60)\n"
    )
    other = subprocess.Popen(["python3", "-c", script, str(program.database)], stdout=subprocess.PIPE)
    with other:
        other.stdout.readline()
        other.send_signal(signal.SIGKILL)
    program(*setting(program, library))
    assert check_journal(str(program.database), library) == len(library)
    assert program("db", "check").stdout == "no problems found\n"


@pytest.mark.parametrize("damage", ["header", "pages", "text"])
def test_damaged(program, library, damage):
    program(*setting(program, library[:10]))
    content = bytearray(program.database.read_bytes())
    match damage:
        case "header":
            content[:100] = os.urandom(100)
        case "pages":
            content[4096:] = b"\xa5" * (len(content) - 4096)
        case "text":
            content = bytearray(b"this is no database\n" * 300)
    program.database.write_bytes(content)
    before = [song.path.read_bytes() for song in library]
    for command in (setting(program, library), ["undo"], scanning(library), ["status"], ["history"]):
        done = program(*command, status=1)
        (line,) = done.stderr.splitlines()
        assert "damaged" in line and "`genrify-tag db check`" in line
    assert [song.path.read_bytes() for song in library] == before
    assert "damaged" in program("db", "check", status=1).stdout


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_taken_away_while_in_use(program, library, tmp_path, how):
    process = begun(program, setting(program, library))
    aside = program.database.with_name("aside.db")
    program.database.rename(aside)
    if how == "replaced":
        program.database.write_bytes(b"")
    line = ended(process)
    assert "the database was moved or deleted while in use" in line
    assert strays(tmp_path / "music") == []
    known = check_moved(aside, library)
    assert known < len(library)


def check_moved(aside: Path, library: list[Song]) -> int:
    """Compare the database that was moved away, with what was still in its log, with the files."""
    log = aside.with_name("library.db-wal")
    if log.exists():
        log.rename(aside.with_name("aside.db-wal"))
    with closing(sqlite3.connect(aside)) as database:
        known = {os.fsdecode(path) for (path,) in database.execute("SELECT path FROM changes")}
    assert {str(song.path) for song in library if not song.is_old()} <= known
    return len(known)


def test_two_programs_at_once(program, library, tmp_path):
    both = [begun(program, setting(program, library)), begun(program, scanning(library))]
    told = [json.loads(line) for process in both for line in process.communicate(timeout=200)[0].splitlines()]
    assert [process.returncode for process in both] == [0, 0]
    assert {result["error"] for result in told} == {None}
    assert strays(tmp_path / "music") == []
    time.sleep(0.01)
    program(*setting(program, library))
    assert check_journal(str(program.database), library) == len(library)
