"""A dry run refuses what the real run refuses, with the same messages."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests import media

SURE = ("--min-confidence", "0.05", "--format", "jsonl")


@contextlib.contextmanager
def flagged(path: Path):
    if os.geteuid() or subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("immutable files need root and a file system that has them")
    try:
        yield
    finally:
        media.run("chattr", "-i", path)


@contextlib.contextmanager
def immutable_file(song: Path):
    with flagged(song):
        yield "the file is immutable"


@contextlib.contextmanager
def immutable_folder(song: Path):
    with flagged(song.parent):
        yield "the file's folder is immutable"


@contextlib.contextmanager
def hard_linked(song: Path):
    other = song.parent / "other name"  # which is not scanned
    os.link(song, other)
    yield "the file has 2 names (hard links)"
    other.unlink()


@contextlib.contextmanager
def read_only(song: Path):
    song.chmod(0o444)
    yield "the file is read-only"
    song.chmod(0o644)


REFUSED = [immutable_file, immutable_folder, hard_linked, read_only]


def outcomes(done) -> list[tuple[str, str, str | None]]:
    return [(item["path"], item["status"], item["error"]) for item in map(json.loads, done.stdout.splitlines())]


@pytest.mark.parametrize("unwritable", REFUSED)
def test_scan_set_and_undo(command_line, tmp_path, unwritable):
    song = media.make("flac", tmp_path / "music")
    healthy = media.make("flac", tmp_path / "well", "other")
    with unwritable(song) as words:
        promised = command_line("scan", "--dry-run", tmp_path, *SURE, status=1)
        before = song.read_bytes()
        done = command_line("scan", tmp_path, *SURE, status=1)
        assert song.read_bytes() == before
        by_hand = command_line("set", song, "Jazz", "--format", "jsonl", status=1)
    assert outcomes(promised) == outcomes(done)
    errors = {path: error for path, _, error in outcomes(done) if error}
    assert list(errors) == [str(song)] and errors[str(song)].startswith(words)
    assert outcomes(by_hand)[0][2] == errors[str(song)]
    assert (str(healthy), "tagged", None) in outcomes(done)
    command_line("scan", song, "--retry-failed", *SURE)
    with unwritable(song):
        promised = command_line("undo", "--path", song, "--dry-run", "--format", "jsonl", status=1)
        assert outcomes(promised) == outcomes(command_line("undo", "--path", song, "--format", "jsonl", status=1))
        assert outcomes(promised)[0][2] == errors[str(song)]
    promised = command_line("undo", "--path", song, "--dry-run", "--format", "jsonl")
    assert outcomes(promised) == outcomes(command_line("undo", "--path", song, "--format", "jsonl"))


def test_a_refusal_in_a_dry_run_leaves_no_trace(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    with read_only(song):
        command_line("scan", "--dry-run", song, *SURE, status=1)
    assert command_line("history").stdout == "No changes yet.\n"
    assert outcomes(command_line("scan", song, *SURE)) == [(str(song), "tagged", None)]
