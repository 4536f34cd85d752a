"""The live display: on a terminal, where it is wiped at the end, and never in a pipe."""

import json
import os
import pty
import subprocess

import pytest

from tests import media

SURE = ("--min-confidence", "0.05")


def run_on_terminal(program, *arguments, stdout_too):
    """Run the program with stderr (and stdout) on a pseudo-terminal; return what the terminal and the pipe got."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        program.command(*arguments),
        stdin=follower,
        stdout=follower if stdout_too else subprocess.PIPE,
        stderr=follower,
        env=program.environment(TERM="xterm-256color"),
    )
    os.close(follower)
    seen = bytearray()
    piped = b"" if stdout_too else process.stdout.read()
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the terminal ends with its last writer
            break
        if not chunk:
            break
        seen += chunk
    os.close(leader)
    assert process.wait(timeout=60) == 0, seen
    if process.stdout:
        process.stdout.close()
    return seen.decode(errors="replace"), piped.decode()


@pytest.fixture
def library(tmp_path):
    for number in range(6):
        media.make("flac", tmp_path / "music", f"{number}")
    return tmp_path / "music"


def test_a_terminal_shows_progress_above_which_lines_appear(program, library):
    seen, _ = run_on_terminal(program, "scan", library, *SURE, stdout_too=True)
    assert "tracks/s" in seen and "6 tagged" in seen
    assert "\x1b[2K" in seen  # the bar is wiped
    for number in range(6):
        assert f"{library}/{number}.flac" in seen


def test_results_in_a_pipe_stay_clean_while_the_terminal_shows_progress(program, library):
    seen, piped = run_on_terminal(program, "scan", library, *SURE, "--format", "jsonl", stdout_too=False)
    assert len([json.loads(line) for line in piped.splitlines()]) == 6
    assert "\x1b[2K" in seen and "6 tagged" in seen


def test_a_pipe_gets_no_progress(program, library):
    done = program("scan", library, *SURE)
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_quiet_prints_only_failures(program, library):
    (library / "broken.mp3").write_bytes(b"")
    done = program("scan", library, *SURE, "--quiet", status=1)
    assert len(done.stdout.splitlines()) == 1 and "broken.mp3" in done.stdout and done.stderr == ""


def test_logs_as_json_are_json(program, library):
    done = program("scan", library, *SURE, "--log-format", "json", "--verbose")
    assert [json.loads(line)["level"] for line in done.stderr.splitlines()]


def test_two_scans_share_one_database(program, library, tmp_path):
    for number in range(6):
        media.make("mp3-v2.4", tmp_path / "second", f"{number}")
    commands = [program.command("scan", folder, *SURE) for folder in (library, tmp_path / "second", library)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=program.environment(), **pipes) for command in commands]
    for process in running:
        _, err = process.communicate(timeout=300)
        assert "locked" not in err and "Traceback" not in err, err
    counts = json.loads(program("status", "--format", "json").stdout)["counts"]
    assert sum(counts.values()) == 12
    assert {r["status"] for r in program.scan(library, tmp_path / "second", *SURE)} <= {"unchanged", "kept"}
