"""Incomplete files are skipped until they are complete, by every entry point."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from mediafile import MediaFile

from tests import media, tagging
from tests.beets_library import Beets, need_beets
from tests.beets_library import song as tagged_song
from tests.test_audio_completeness import MORE
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
    assert {result["status"] for result in program.scan(folder, *SURE, "--incomplete")} == {"tagged"}
    program("undo")
    assert {path: path.read_bytes() for path in before} == before
    results = program.scan(folder, *SURE, "--force", GENRIFY_TAGGING__INCOMPLETE="true")
    assert {result["status"] for result in results} == {"tagged"}


def test_what_was_cut_for_good_can_be_tagged_in_every_container(program, tmp_path):
    """A size beyond the end of the file is set where a tag is put behind the audio, and players find it there."""
    folder = tmp_path / "music"
    folder.mkdir()
    whole = {kind: media.master(kind) for kind in ("wav", "aiff", "m4a-aac", "flac", "ape", "wma")}
    for kind, (suffix, arguments) in MORE.items():
        if kind != "rf64":  # which has no place for a genre
            whole[kind] = tmp_path / (kind + suffix)
            media.ffmpeg("-i", whole["wav"], *arguments, whole[kind])
    whole["piped"] = tmp_path / "piped.wav"
    whole["piped"].write_bytes(piped("wav"))
    before = {}
    for kind, original in whole.items():
        path, content = folder / (kind + original.suffix), original.read_bytes()
        before[path] = content[: len(content) // 2 + 1] if kind != "m4a-aac" else content[: len(content) // 2]
        path.write_bytes(before[path])
    shown = {path: tagging.taglib_tags(path) for path in before}
    titles = {path: tagging.ffprobe_tags(path).get("title") for path in before if path.stem != "m4a-aac"}
    for options in (["--dry-run"], []):
        results = program.scan(folder, *SURE, "--incomplete", *options, status=1)
        statuses = {Path(result["path"]).stem: (result["status"], result["error"]) for result in results}
        no_index = ("failed", "the MP4 file has no index (moov); it is damaged or truncated")
        assert statuses.pop("m4a-aac") == no_index
        assert set(statuses.values()) == {("tagged", None)}
    written = {Path(result["path"]): result["after"] for result in results}
    for path in before:
        if path.stem != "m4a-aac":
            assert list(tagging.genres(path)) == written[path]
            assert tagging.ffprobe_tags(path).get("title") == titles[path]
            if shown[path]:  # what TagLib can read
                seen = tagging.taglib_tags(path)
                assert seen["genre"] == written[path]
                assert all(seen[key] == [media.TAGS[key]] for key in ("title", "artist", "album"))
    later = {Path(result["path"]).stem: result for result in program.scan(folder, *SURE, status=1)}
    assert {(later[path.stem]["status"], later[path.stem]["reason"]) for path in before if path.stem != "m4a-aac"} == {
        ("kept", "tagged earlier")
    }
    program("undo")
    assert {path: path.read_bytes() for path in before} == before


def piped(muxer):
    command = [media.need("ffmpeg"), "-v", "error", "-i", str(media.master("wav")), "-f", muxer, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_a_file_that_was_written_to_a_pipe_is_tagged(program, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for muxer in ("wav", "flac", "mp3"):
        (folder / f"song.{muxer}").write_bytes(piped(muxer))
    zero = bytearray(piped("wav"))
    at = zero.index(b"data") + 4
    zero[at : at + 4] = bytes(4)
    (folder / "zero.wav").write_bytes(zero)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert {result["status"] for result in program.scan(folder, *SURE)} == {"tagged"}
    for path in before:
        assert tagging.taglib_tags(path)["genre"] == ["Jazz"] == list(tagging.genres(path))
        assert tagging.ffprobe_tags(path)["title"] == media.TAGS["title"]
    program("undo")
    assert {path: path.read_bytes() for path in before} == before


def test_an_incomplete_file_with_a_genre_is_kept(program, tmp_path):
    path = media.make("flac", tmp_path, genre="Rock")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (kept,) = program.scan(path, *SURE)
    assert (kept["status"], kept["reason"]) == ("kept", "has a genre")
    for option in ("--force", "--reanalyse", "--existing=replace"):
        (skipped,) = program.scan(path, *SURE, option)
        assert skipped["status"] == "skipped" and skipped["reason"].startswith("incomplete: 7.5 of 15.0 s")


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


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_beets_does_not_write_a_tag_into_cut_audio(tmp_path, kind):
    need_beets()
    beets = Beets(tmp_path / "home", plugins=[])
    tagged_song(tmp_path / "incoming", "Cut", kind)
    beets("import", "-A", tmp_path / "incoming")
    beets.plugins = ["genrify"]
    beets.configure(incomplete=True)
    (path,) = beets.files()
    content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    for arguments in (["--pretend"], []):
        done = beets("genrify", *arguments)
        assert "1 failed" in done.stderr and "genrify-tag scan --incomplete tags it correctly" in done.stderr
    assert path.read_bytes() == content and beets.genres() == {"Cut": ""}
