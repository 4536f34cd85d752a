"""`genrify-tag audit`: planted wrong genres come first, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace

from genrify_tagger.pipeline import open_session
from tests.learning import GENRES, add_real_songs, fill, settings_at, settings_for


def test_planted_wrong_genres_come_first(command_line, tmp_path):
    options = settings_for(tmp_path)
    records = fill(options)
    planted = [replace(records[n], after=(GENRES[(GENRES.index(records[n].after[0]) + 1) % 3],)) for n in (4, 40, 70)]
    with open_session(options) as session:
        session.store.save_files(planted)
        before = [*session.store.files_under()]
    done = command_line("audit", "--format", "jsonl", "--database", str(tmp_path / "library.db"))
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {item["path"] for item in listed[:3]} == {record.path for record in planted}
    assert [item["expected"] for item in listed[:3]] == [
        records[[r.path for r in records].index(item["path"])].after[0] for item in listed[:3]
    ]
    with open_session(options) as session:
        assert [*session.store.files_under()] == before


def test_what_is_kept_or_set_by_hand_is_not_listed_again_until_that_is_undone(command_line, tmp_path):
    songs = [(f"song {n}", f"Someone {n}", "Kids", "Doom Metal") for n in range(4)]
    kept, corrected, moved, left = add_real_songs(command_line, tmp_path / "music", songs)
    fill(settings_at(command_line.database))
    before = {file: file.read_bytes() for file in (kept, corrected, moved, left)}
    kept.chmod(0o444)  # saying that a genre is right needs no write
    done = command_line("audit", "--keep", str(kept), str(moved))
    assert "Kept the genre of 2 files. To undo this" in done.stderr
    assert {file: file.read_bytes() for file in before} == before
    command_line("set", str(corrected), "Doom Metal")
    moved.rename(moved.with_name("elsewhere.flac"))
    command_line.scan(tmp_path / "music", "--min-confidence", "0.99")
    listed = command_line("audit", "-n", "4").stdout
    assert left.name in listed
    assert not any(name in listed for name in (kept.name, corrected.name, "elsewhere.flac"))
    command_line("undo", "--path", str(kept))
    assert kept.name in command_line("audit", "-n", "4").stdout and kept.read_bytes() == before[kept]


def test_only_files_with_a_genre_can_be_kept(command_line, tmp_path):
    [song] = add_real_songs(command_line, tmp_path / "music", [("song", "Someone", "", "Kids")])
    done = command_line("audit", "--keep", str(song), status=1)
    assert "has no genre to keep" in done.stdout + done.stderr
    assert "is a folder" in command_line("audit", "--keep", str(tmp_path), status=2).stderr
    assert "needs the files" in command_line("audit", "--keep", status=2).stderr
