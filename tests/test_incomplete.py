"""Incomplete files are skipped until they are complete, by every entry point."""

import json
import shutil

import pytest
from mediafile import MediaFile

from tests import media
from tests.beets_library import song as tagged_song
from tests.watching import song, watching

SURE = ("--min-confidence", "0.05")
KINDS = [kind for kind in media.KINDS if kind != "mp3-bare"]  # which states no length


def half(kind, folder):
    path = media.make(kind, folder, kind)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path, content


def test_a_scan_skips_incomplete_files_until_they_are_complete(program, tmp_path):
    folder = tmp_path / "music"
    whole = dict(half(kind, folder) for kind in KINDS)
    before = {path: path.read_bytes() for path in whole}
    for options in (["--dry-run"], []):
        results = program.scan(folder, *SURE, *options)
        assert {result["status"] for result in results} == {"skipped"} and len(results) == len(KINDS)
        reasons = {result["path"]: result["reason"] for result in results}
        assert reasons[str(folder / "flac.flac")] == "incomplete: 7.5 of 15.0 s are there; --incomplete tags it anyway"
        assert all(reason.startswith("incomplete: ") for reason in reasons.values())
    assert {result["status"] for result in program.scan(folder, *SURE)} == {"unchanged"}
    for path, content in whole.items():  # a download that goes on by appending
        assert path.read_bytes() == before[path]
        with path.open("ab") as file:
            file.write(content[len(before[path]) :])
    assert {result["status"] for result in program.scan(folder, *SURE)} == {"tagged"}
    program("undo")
    assert {path: path.read_bytes() for path in whole} == whole


def test_an_option_or_a_setting_tags_incomplete_files(program, tmp_path):
    folder = tmp_path / "music"
    before = {
        path: path.read_bytes() for path, _ in (half(kind, folder) for kind in ("flac", "mp3-v2.3", "opus", "wav"))
    }
    program.scan(folder, *SURE)
    results = program.scan(folder, *SURE, "--incomplete", status=1)
    assert sorted(result["status"] for result in results) == ["failed", "tagged", "tagged", "tagged"]
    (refused,) = [result for result in results if result["status"] == "failed"]
    assert refused["path"].endswith(".wav") and refused["error"] == "the file is truncated, or a length in it is wrong"
    program("undo")
    assert {path: path.read_bytes() for path in before} == before
    results = program.scan(folder, *SURE, "--force", status=1, GENRIFY_TAGGING__INCOMPLETE="true")
    assert [result["status"] for result in results].count("tagged") == 3


def test_set_refuses_incomplete_files(program, tmp_path):
    path, content = half("flac", tmp_path)
    before = path.read_bytes()
    done = program("set", path, "Jazz", status=1)
    assert "7.5 of 15.0 s are there" in done.stdout and path.read_bytes() == before
    program("set", "--incomplete", path, "Jazz")
    program("undo")
    assert path.read_bytes() == before
    path.write_bytes(content)
    program("set", path, "Jazz")


@pytest.mark.parametrize("by_offset", [False, True])
def test_the_service_waits_until_a_download_is_complete(program, tmp_path, by_offset):
    music = tmp_path / "music"
    music.mkdir()
    content = song(tmp_path / "source", kind="mp3-vbr").read_bytes()
    target, at = music / "slow.mp3", len(content) // 2
    with watching(program, music) as service:
        with target.open("wb") as file:
            file.write(content[:at])
            file.truncate(len(content) if by_offset else at)
        service.rest()
        assert service.files()[str(target)] == ("skipped", True)
        with target.open("r+b") as file:
            file.seek(at)
            file.write(content[at:])
        assert service.tagged(target) == ["Jazz"]
    program("undo")
    assert target.read_bytes() == content


def test_beets_skips_incomplete_files(beets):
    path = next(path for path in beets.files() if path.suffix == ".flac")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for arguments in (["--pretend"], []):
        done = beets("genrify", *arguments, "title:Jazz 2")
        assert "1 skipped" in done.stderr
    assert path.read_bytes() == content[: len(content) // 2]
    explained = beets("genrify", "--explain", "title:Jazz 2").stdout
    assert "s are there; --incomplete tags it anyway" in explained
    shutil.copystat(path, path)
    path.write_bytes(content)
    assert "1 tagged" in beets("genrify", "title:Jazz 2").stderr


def test_beets_tags_what_was_cut_for_good_if_asked(beets, tmp_path):
    path = next(path for path in beets.files() if path.suffix == ".flac")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "1 tagged" in beets("genrify", "--incomplete", "title:Jazz 2").stderr
    assert MediaFile(path).genres == ["Jazz"]
    beets.configure(incomplete=True)
    incoming = tagged_song(tmp_path / "incoming", "Cut", "flac", album="Another album")
    incoming.write_bytes(incoming.read_bytes()[: len(content) // 2])
    beets("import", "-A", incoming.parent)
    assert beets.genres("genrify_status:tagged") == {"Cut": "Jazz", "Jazz 2": "Jazz"}


def test_show_and_status_of_an_incomplete_file(program, tmp_path):
    path, _ = half("mp3-v2.3", tmp_path / "music")
    program.scan(path, *SURE)
    (record,) = [json.loads(line) for line in program("export", "--format", "jsonl").stdout.splitlines()]
    assert (record["status"], record["audio_key"]) == ("skipped", None)
