"""How commands end: closing lines and exit statuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime

import pytest

from tests import media

SURE = ("--min-confidence", "0.05")


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    for name in ("a", "b", "c"):
        media.make("mp3-v2.4", folder / name)
    return folder


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_a_closed_pipe_is_not_a_failed_run(program, music, form):
    for number in range(60):
        shutil.copy(next(music.rglob("*.mp3")), music / f"{number}.mp3")
    arguments = program.command("scan", music, "--dry-run", "--format", form, "--jobs", "1")
    recorded = [part for part in arguments if part != "--dry-run"]
    with subprocess.Popen(
        recorded, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment()
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (141, b"")
    (run,) = map(json.loads, program("history", "--all", "--format", "jsonl").stdout.splitlines())
    assert run["status"] == "interrupted"


def test_verbose_hides_messages_of_libraries(program, music):
    err = program("scan", music, "--verbose").stderr
    assert "alembic" not in err.lower() and "Context impl" not in err and "upgrade" not in err


def test_a_missing_folder_is_an_error_not_a_failed_file(command_line, music, tmp_path):
    missing = tmp_path / "Musik"
    refused = command_line("scan", missing, status=2)
    assert refused.stderr == f"genrify-tag: {missing}: no such file or folder; nothing was scanned\n"
    assert command_line("history", "--all").stdout == "No changes yet.\n"
    mixed = command_line("scan", missing, music, "--dry-run", status=1)
    assert f"{missing}: no such file or folder" in mixed.stderr and "3 files" in mixed.stderr
    assert "failed" not in mixed.stdout + mixed.stderr
    by_settings = command_line("scan", status=2, GENRIFY_LIBRARY__ROOTS=str(missing))
    assert f"{missing}: no such file or folder" in by_settings.stderr


def test_a_missing_song_is_a_failed_file(command_line, music, tmp_path):
    (result,) = command_line.scan(tmp_path / "gone.mp3", status=1)
    assert (result["status"], result["error"]) == ("failed", "no such file or folder")


@pytest.mark.parametrize("command", ["undo", "history"])
def test_an_unknown_run_is_reported(command_line, music, command):
    command_line("scan", music)
    assert (
        "there is no run 99; 'genrify-tag history --all' lists the runs" in command_line(command, "99", status=1).stderr
    )


def test_times_are_local_in_text_and_have_a_zone_in_json(program, music):
    program("scan", music, *SURE, TZ="UTC")
    (run,) = map(json.loads, program("history", "--format", "jsonl").stdout.splitlines())
    at = datetime.fromisoformat(run["started_at"])
    assert at.tzinfo is not None
    for zone in ("Asia/Tokyo", "UTC"):
        shown = program("history", TZ=zone).stdout
        offset = 9 if zone == "Asia/Tokyo" else 0
        hours = int(re.search(r"\d{4}-\d\d-\d\d (\d\d):\d\d", shown)[1])
        assert hours == (at.hour + offset) % 24 and "UTC" not in shown
        assert f"{hours:02}:" in program("status", TZ=zone).stdout
        assert f" {hours:02}:" in program("show", next(music.rglob("*.mp3")), TZ=zone).stdout


def test_after_an_undo_the_next_scan_says_why_it_leaves_files_alone(command_line, music):
    command_line("scan", music, *SURE)
    command_line("undo")
    line = "3 files left alone because their genre was undone, removed or changed; --force writes again."
    assert line in command_line("scan", music, *SURE).stderr
    assert line in command_line("scan", music, *SURE, "--reanalyse").stderr
    forced = command_line("scan", music, *SURE, "--force").stderr
    assert "3 tagged" in forced and "left alone" not in forced


def test_undoing_a_genre_set_over_junk_makes_the_song_unsure(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music", genre="Other")
    sceptical = ("scan", song, "--min-confidence", "1", "--format", "jsonl")
    assert json.loads(command_line(*sceptical).stdout)["status"] == "unsure"
    command_line("set", song, "Jazz")
    command_line("undo")
    listed = command_line("status", "--list", "unsure").stdout
    assert str(song) in listed and "a genre set by hand was undone" in listed


def test_a_song_from_a_backup_is_tagged_again_with_changed_ignore(command_line, music):
    songs = sorted(music.rglob("*.mp3"))
    backup = {song: song.read_bytes() for song in songs}
    command_line("scan", music, *SURE)
    command_line("set", songs[0], "Polka")
    for song, content in backup.items():
        song.write_bytes(content)
    respected = command_line("scan", music, *SURE)
    assert "2 files left alone" in respected.stderr and "tagged" not in respected.stderr
    ignored = {r["path"]: r["status"] for r in command_line.scan(music, *SURE, "--changed", "ignore")}
    assert ignored == {str(songs[0]): "kept", str(songs[1]): "tagged", str(songs[2]): "tagged"}


def test_undo_needs_no_model(command_line, music):
    before = {path: path.read_bytes() for path in music.rglob("*.mp3")}
    command_line("scan", music, *SURE)
    gone = {"GENRIFY_ANALYSIS__MODEL": "/nowhere/model"}
    assert "no such model" in command_line("scan", music, status=1, **gone).stderr
    command_line("undo", **gone)
    assert {path: path.read_bytes() for path in before} == before
    runs = [json.loads(line) for line in command_line("history", "--format", "jsonl").stdout.splitlines()]
    assert [(run["command"], run["model"] is None, run["undone"]) for run in runs] == [
        ("undo", True, 0),
        ("scan", False, 3),
    ]
