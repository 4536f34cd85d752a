"""Ctrl-C and SIGTERM: the current write is finished, all results are kept, exit 130, and the next run continues."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.program import Program
from tests.torture import songs
from tests.torture.songs import GENRE, Song
from tests.torture.state import check_journal, strays

SPECIMENS = ("mp3-v2.3:", "flac-tight", "m4a-aac:", "opus:", "wma:Oldies", "v24-tight")
COPIES = 8


def collection(folder: Path) -> list[Song]:
    return [
        songs.place(specimen, folder, name=f"{number}-{specimen.replace(':', '-')}", linked=specimen == "flac-tight")
        for specimen in SPECIMENS
        for number in range(COPIES)
    ]


def interrupted(program: Program, sent: list[signal.Signals], *command: object, group: bool = False) -> int:
    """Send signals to a command once it reports its first file; return how many files it reported in the end."""
    process = subprocess.Popen(
        program.command(*map(str, command), "--format", "jsonl"),
        env=program.environment(GENRIFY_TAGGING__HARDLINKS="in-place"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    first = process.stdout.readline()
    for number in sent:
        os.killpg(process.pid, number) if group else process.send_signal(number)
        time.sleep(DICE.uniform(0, 0.02))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    told = [json.loads(line) for line in (first + out).splitlines()]
    assert {result["status"] for result in told} <= {"tagged", "kept"}, told
    return len(told)


DICE = random.Random(4)
RARE = pytest.mark.torture
WAYS = {
    "Ctrl-C": ([signal.SIGINT], True),
    "impatient Ctrl-C": ([signal.SIGINT] * 4, True),
    "kill": ([signal.SIGTERM], False),
    "service manager": ([signal.SIGTERM], True),
}


def usually(one: str) -> list[object]:
    """Mark the others: they differ in who gets the signal, how often, and rarely go wrong when this one does not."""
    return [way if way == one else pytest.param(way, marks=RARE) for way in WAYS]


@pytest.mark.parametrize("way", usually("service manager"))
def test_commands_finish_the_current_write_and_continue_later(program, tmp_path, way):
    sent, group = WAYS[way]
    library = collection(tmp_path / "music")
    commands = {"set": ["set", *(song.path for song in library), GENRE], "undo": ["undo", "--path", tmp_path / "music"]}
    for verb, command in commands.items():
        told = interrupted(program, sent, *command, group=group)
        # Nothing is left for the next start to resolve.
        assert strays(tmp_path) == []
        written = check_journal(str(program.database), library)
        changed = written if verb == "set" else len(library) - written
        assert told <= changed < len(library)
        program(*command, GENRIFY_TAGGING__HARDLINKS="in-place")
        if verb == "undo":  # what was set twice is undone in two steps
            program(*command, status=None, GENRIFY_TAGGING__HARDLINKS="in-place")
        assert check_journal(str(program.database), library) == (len(library) if verb == "set" else 0)


@pytest.mark.parametrize("way", usually("impatient Ctrl-C"))
def test_a_scan_that_is_stopped_fails_no_file(program, tmp_path, way):
    sent, group = WAYS[way]
    library = collection(tmp_path / "music")
    rules = ("--min-confidence", "0.01", "--existing", "replace", "--segments", "1")
    told = interrupted(program, sent, "scan", tmp_path / "music", *rules, group=group)
    assert strays(tmp_path) == []
    listed = json.loads(program("status", "--format", "json").stdout)["counts"]
    assert set(listed) == {"tagged"} and told <= listed["tagged"] < len(library)
    rest = program.scan(tmp_path / "music", *rules, GENRIFY_TAGGING__HARDLINKS="in-place")
    assert {result["status"] for result in rest} == {"unchanged", "tagged"}
    assert strays(tmp_path) == []
