"""One library under two paths (host and container, bind mounts) and under two spellings of its path."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

import pytest

from genrify_tagger.files import real_path
from genrify_tagger.mounts import MountTable
from tests import media
from tests.disks import disk, mounted
from tests.program import Program
from tests.watching import genre, query, until, watching

SURE = ("--min-confidence", "0.05")


def make_library(program: Program, folder: Path) -> Path:
    """Make three songs, one tagged, one set by hand, one undone."""
    tagged, set_, undone = (
        media.make("flac", folder / "A", "tagged"),
        media.make("opus", folder / "A", "set"),
        media.make("m4a-aac", folder / "B", "undone", source=media.CLASSICAL),
    )
    program.scan(folder, *SURE)
    program("set", set_, "Polka")
    program("undo", "--path", undone)
    return tagged.parents[1]


def history(program: Program, path: Path) -> list[str]:
    lines = program("history", "--path", path, "--format", "jsonl").stdout.splitlines()
    return sorted(json.loads(line)["origin"] for line in lines)


def known(program: Program) -> set[str]:
    return {os.fsdecode(path) for (path,) in query(program.database, "SELECT path FROM files")}


def songs(folder: Path) -> set[str]:
    return {str(folder / name) for name in ("A/tagged.flac", "A/set.opus", "B/undone.m4a")}


WHOLE_HISTORY = ["scan", "scan", "scan", "set", "undo"]


def test_a_host_path_and_a_container_path_are_one_library(program, tmp_path):
    host, container, outside = tmp_path / "srv" / "music", tmp_path / "music", tmp_path / "srv"
    container.mkdir()
    make_library(program, host)
    with mounted(container, "--bind", host):
        assert {result["status"] for result in program.scan(container, *SURE)} == {"unchanged"}
        assert known(program) == songs(container)
        assert history(program, host) == WHOLE_HISTORY
        program("set", host / "A" / "tagged.flac", "Salsa")  # by the other path again
        again = {Path(r["path"]).stem: r["reason"] for r in program.scan(host, container, *SURE, "--reanalyse")}
        assert again["set"] == again["tagged"] == "set by hand" and "undone since" in again["undone"]
        assert len(known(program)) == 3
        with mounted(outside, "-t", "tmpfs", "none"):  # within the container
            program.scan(container, *SURE)
            assert known(program) == songs(container)
            similar = program("similar", container / "A" / "set.opus").stdout
            assert str(container / "B" / "undone.m4a") in similar and str(host) not in similar
            assert str(host) not in program("export", "--format", "csv").stdout
    program.scan(host, *SURE)  # on the host
    assert known(program) == songs(host)
    assert history(program, host) == sorted([*WHOLE_HISTORY, "set"])
    assert genre(host / "B" / "undone.m4a") == []


def test_a_song_changed_meanwhile_is_known_through_another_mount(program, tmp_path):
    host, container = tmp_path / "srv", tmp_path / "music"
    container.mkdir()
    make_library(program, host)
    (host / "B" / "undone.m4a").touch()
    with mounted(container, "--bind", host):
        told = {Path(r["path"]).stem: r for r in program.scan(container, *SURE)}
        assert told["undone"]["status"] == "skipped" and "undone since" in told["undone"]["reason"]
        assert len(known(program)) == 3
    assert genre(host / "B" / "undone.m4a") == []


def test_undo_by_the_path_of_another_mount(program, tmp_path):
    host, container = tmp_path / "srv", tmp_path / "music"
    container.mkdir()
    make_library(program, host)
    with mounted(container, "--bind", host):
        program("undo", "--path", container / "A")
    assert genre(host / "A" / "tagged.flac") == [] and genre(host / "A" / "set.opus") == ["Jazz"]


def test_the_service_watches_a_folder_once_that_is_mounted_twice(program, tmp_path):
    host, container = tmp_path / "srv", tmp_path / "music"
    container.mkdir()
    make_library(program, host)
    with mounted(container, "--bind", host):
        with watching(program, host, container) as service:
            service.rest()
            new = media.make("flac", container / "C", "new")
            until(lambda: any("new.flac" in path for path in service.files()), what=service.words)
            service.rest()
            assert set(service.files()) == {*songs(host), str(host / "C" / "new.flac")}
            assert f"{container} is the same folder as {host}" in service.words
        changes = len(history(program, host))
        with watching(program, container) as service:
            until(lambda: str(container / "A" / "set.opus") in service.files(), what=service.words)
            service.rest()
            assert set(service.files()) == {*songs(container), str(new)}
    assert len(history(program, host)) == changes == 6


def test_another_spelling_is_the_same_library(program, tmp_path):
    with disk("exfat", tmp_path) as exfat:
        music = make_library(program, exfat / "music")
        os.rename(music / "A" / "set.opus", music / "A" / "Set.opus")
        (music / "B").rename(music / "b~")
        (music / "b~").rename(music / "b")
        told = program("scan", music, *SURE)
        assert "2 songs have moved" in told.stderr and "3 unchanged" in told.stderr
        spelled = {str(music / name) for name in ("A/tagged.flac", "A/Set.opus", "b/undone.m4a")}
        assert known(program) == spelled
        typed = exfat / "MUSIC"
        reasons = [result["reason"] for result in program.scan(typed, *SURE, "--reanalyse")]
        assert sum("undone since" in reason or "set by hand" in reason for reason in reasons if reason) == 2
        assert known(program) == spelled
        assert history(program, typed / "B") == ["scan", "undo"]
        program("undo", "--path", typed / "a" / "TAGGED.flac")
        assert genre(music / "A" / "tagged.flac") == []
        with watching(program, "--poll", "1", typed) as service:
            service.rest()
            os.rename(music / "A" / "Set.opus", music / "A" / "SET.opus")
            until(lambda: str(music / "A" / "SET.opus") in service.files(), what=service.words)
            service.rest()
            assert len(service.files()) == 3
        assert history(program, music / "A" / "SET.opus") == ["scan", "set"]


@pytest.mark.parametrize("letters", ["Abba", "Ga\u0308nge", "1"])
def test_a_path_is_spelled_as_on_disk(tmp_path, letters):
    """Where case matters, two spellings are two names."""
    one, two = tmp_path / letters, tmp_path / letters.swapcase()
    one.mkdir()
    assert real_path(str(one)) == str(one)
    assert real_path(str(tmp_path / "none" / letters)) == str(tmp_path / "none" / letters)
    with contextlib.suppress(FileExistsError):
        two.mkdir()
    assert real_path(str(two)) == str(two)
    link = tmp_path / "link"
    link.symlink_to(one)
    assert real_path(str(link / "song.mp3")) == str(one / "song.mp3")


def test_the_other_paths_of_a_file(tmp_path):
    host, container, other = (tmp_path / name for name in ("srv", "music", "other"))
    for folder in (host / "A", container, other):
        folder.mkdir(parents=True)
    (host / "A" / "song.mp3").touch()
    os.link(host / "A" / "song.mp3", host / "A" / "link.mp3")
    table = MountTable()
    assert table.other_paths(str(host / "A" / "song.mp3")) == []
    with mounted(container, "--bind", host), mounted(other, "--bind", host / "A"):
        time.sleep(1.1)  # the table is read once a second
        found = {str(container / "A" / "song.mp3"), str(other / "song.mp3")}
        assert set(table.other_paths(str(host / "A" / "song.mp3"))) == found
        assert str(host / "A" / "song.mp3") in table.other_paths(str(other / "song.mp3"))
        with mounted(container / "A", "-t", "tmpfs", "none"):  # hides one of them
            assert table.other_paths(str(host / "A" / "song.mp3")) == [str(other / "song.mp3")]
    assert table.other_paths(str(host / "A" / "song.mp3")) == []
