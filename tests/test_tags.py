"""Every container: other programs read what is written, the rest stays, and undo restores the former bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key
from genrify_tagger.errors import (
    ChangedMeanwhileError,
    NotTaggableError,
    TagError,
    TagReadError,
    WriteRefusedError,
)
from tests import tagging
from tests.media import KINDS, TAGS, ffmpeg, make, need, run

JOINED = "Jazz; Électro"
BOTH = ["Jazz", "Électro"]
# kind -> what each reader shows after "Jazz" and "Électro" were written; None: it shows no genre there, or does not
# read such files at all. After "Jazz" alone each that shows any shows "Jazz".
#                  ffprobe            mediafile  MPD             exiftool
READERS = {
    "mp3-v2.3": (JOINED, [JOINED], [JOINED], JOINED),
    "mp3-v2.4": ("Jazz", BOTH, BOTH, "Jazz/Électro"),
    "mp3-vbr": (JOINED, [JOINED], [JOINED], JOINED),
    "mp3-bare": ("Jazz", BOTH, BOTH, "Jazz/Électro"),
    "flac": ("Jazz;Électro", BOTH, BOTH, "Électro"),
    "wav": (JOINED, BOTH, [JOINED], "Jazz/Électro"),
    "aiff": ("Jazz", BOTH, [], "Jazz/Électro"),
    "m4a-aac": ("Jazz", BOTH, ["Jazz"], "Électro"),
    "m4a-alac": ("Jazz", BOTH, ["Jazz"], "Électro"),
    "ogg-vorbis": ("Jazz;Électro", BOTH, BOTH, "Électro"),
    "ogg-flac": ("Jazz;Électro", None, BOTH, "Électro"),
    "ogg-speex": ("Jazz;Électro", None, ["Jazz;Électro"], None),
    "opus": ("Jazz;Électro", BOTH, BOTH, "Électro"),
    "wma": ("Jazz", BOTH, ["Jazz"], "Jazz"),
    "wavpack": ("Jazz", BOTH, BOTH, None),
    "musepack": ("Jazz", BOTH, BOTH, None),
    "ape": ("Jazz", BOTH, ["Jazz"], "JazzÉlectro"),
}


def test_every_kind_has_a_row() -> None:
    assert set(READERS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("former", [None, "Oldies"])
@pytest.mark.parametrize("names", [("Hip-Hop",), ("Jazz", "Électro", "日本")], ids=["one", "several"])
def test_written_read_back_and_undone_to_the_byte(
    tmp_path: Path, kind: str, former: str | None, names: tuple[str, ...]
) -> None:
    former = None if kind == "mp3-bare" else former
    path = make(kind, tmp_path, genre=former)
    assert tagging.genres(path) == (() if former is None else (former,))
    key = audio_key(str(path))
    plan = tagging.check_round_trip(path, names)
    assert plan.before.genres == (() if former is None else (former,))
    assert (plan.before.raw is None) == (former is None)
    assert audio_key(str(path)) == key


@pytest.mark.parametrize("kind", KINDS)
def test_other_readers_see_it_and_everything_else_as_before(tmp_path: Path, kind: str) -> None:
    path = make(kind, tmp_path)
    before = tagging.ffprobe_tags(path)
    tagging.write(path, "Jazz", "Électro")
    ffprobe, mediafile, _, exiftool = READERS[kind]
    after = tagging.ffprobe_tags(path)
    assert after.pop("genre", None) == ffprobe
    assert after == before
    if kind != "mp3-bare":
        assert before["title"] == TAGS["title"]
    if mediafile is not None:
        assert tagging.mediafile_genres(path) == mediafile
    if exiftool is not None:
        assert tagging.exiftool_genre(path) == exiftool


def test_mpd_sees_it(tmp_path: Path) -> None:
    music, work = tmp_path / "music", tmp_path / "work"
    work.mkdir()
    for kind in KINDS:
        tagging.write(make(kind, music, f"{kind}-two"), "Jazz", "Électro")
        tagging.write(make(kind, music, f"{kind}-one"), "Jazz")
    seen = {Path(name).stem: shown.get("genre", []) for name, shown in tagging.mpd_tags(music, work).items()}
    assert {kind: seen[f"{kind}-two"] for kind in KINDS} == {kind: READERS[kind][2] for kind in KINDS}
    assert {kind: seen[f"{kind}-one"] for kind in KINDS} == {k: ["Jazz"] if READERS[k][2] else [] for k in KINDS}


def test_metaflac_sees_repeated_fields_and_the_file_is_sound(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    tagging.write(path, "Jazz", "Électro")
    shown = run(need("metaflac"), "--no-utf8-convert", "--show-tag=GENRE", path).stdout.decode()
    assert shown.split() == ["GENRE=Jazz", "GENRE=Électro"]
    run(need("flac"), "--test", "--silent", path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_custom_field(tmp_path: Path, kind: str) -> None:
    path = make(kind, tmp_path, genre="Oldies")
    genres = tagging.genres(path)
    original = path.read_bytes()
    plan = tagging.write(path, "Jazz", field="Genrify")
    assert tagging.genres(path, "GENRIFY") == ("Jazz",)
    assert tagging.genres(path) == genres
    tagging.undo(path, plan)
    assert path.read_bytes() == original


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"mp3-bare"}))
def test_the_field_can_be_removed_and_come_back(tmp_path: Path, kind: str) -> None:
    path = make(kind, tmp_path, genre="Oldies")
    original = path.read_bytes()
    plan = tagging.write(path)
    assert plan.after.raw is None
    assert tagging.genres(path) == ()
    tagging.undo(path, plan)
    assert path.read_bytes() == original


def test_planning_changes_nothing(tmp_path: Path) -> None:
    path = make("mp3-v2.3", tmp_path)
    before = path.stat()
    plan = tags.plan_write(str(path), ["Jazz"])
    assert plan.changes
    assert path.stat() == before
    assert plan.after.genres == ("Jazz",)
    assert tags.plan_write(str(path), []).changes is False


def test_a_change_by_another_program_is_not_undone(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    plan = tagging.write(path, "Jazz")
    run(need("metaflac"), "--remove-tag=GENRE", "--set-tag=GENRE=Mine", path)
    with pytest.raises(ChangedMeanwhileError):
        tagging.undo(path, plan)
    assert tagging.genres(path) == ("Mine",)


def test_saving_in_another_program_is_not_a_change_of_the_genre(tmp_path: Path) -> None:
    path = make("flac", tmp_path, genre="Oldies")
    plan = tagging.write(path, "Jazz")
    run(need("metaflac"), "--remove-tag=TITLE", "--set-tag=TITLE=Better", path)
    tagging.undo(path, plan)
    assert tagging.genres(path) == ("Oldies",)
    assert tagging.ffprobe_tags(path)["title"] == "Better"


def test_a_former_genre_can_go_back_into_another_container(tmp_path: Path) -> None:
    raw = tags.read(str(make("mp3-v2.3", tmp_path, genre="Oldies"))).raw
    path = make("flac", tmp_path)
    plan = tags.plan_restore(str(path), raw)
    tags.apply(plan, audio_key=audio_key, expected_key=None)
    assert tagging.mediafile_genres(path) == ["Oldies"]


@pytest.mark.parametrize("name", ["", " ", "A; B", "A/B", "A, B", "A|B", "A\0B", "A\nB", " A", "A\udc80"])
def test_names_that_would_not_be_read_back_are_refused(tmp_path: Path, name: str) -> None:
    path = make("flac", tmp_path)
    with pytest.raises(WriteRefusedError) as caught:
        tags.plan_write(str(path), [name])
    assert caught.value.path == str(path)


def test_a_present_name_may_stay(tmp_path: Path) -> None:
    path = make("flac", tmp_path, genre="Drum|Bass")
    tagging.write(path, "Drum|Bass", "Jazz")
    assert tagging.mediafile_genres(path) == ["Drum|Bass", "Jazz"]


@pytest.mark.parametrize("field", ["x", "A=B", "Ä", "TITLE", "A:B"])
def test_fields_that_do_not_fit_are_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(WriteRefusedError):
        tags.plan_write(str(make("flac", tmp_path)), ["Jazz"], field=field)


@pytest.mark.parametrize(("name", "arguments"), [("a.mka", ("-c:a", "flac")), ("a.aac", ("-c:a", "aac"))])
def test_containers_without_a_genre_field(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", *arguments, path)
    with pytest.raises(NotTaggableError) as caught:
        tags.read(str(path))
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("name", "content"), [("a.mp3", b""), ("a.mp3", bytes(5000)), ("a.flac", b"no music"), ("a.m4a", b"\0\0\0\x20ftyp")]
)
def test_bad_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TagError) as caught:
        tags.read(str(path))
    assert caught.value.path == str(path)


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.mp3"):
        with pytest.raises(TagReadError):
            tags.read(str(path))


def test_a_suffix_does_not_decide(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    shutil.copy(make("flac", tmp_path / "made"), path)
    tagging.write(path, "Jazz")
    assert tags.read(str(path)).container == "flac"


def test_absent_and_empty_differ(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    absent = tags.read(str(path))
    run(need("metaflac"), "--set-tag=GENRE=", path)
    empty = tags.read(str(path))
    assert (absent.raw, absent.genres, empty.genres) == (None, (), ())
    assert empty.raw is not None
    assert not tags.same_genre(absent.raw, empty.raw)
    plan = tagging.write(path, "Jazz")
    tagging.undo(path, plan)
    assert tags.same_genre(tags.read(str(path)).raw, empty.raw)
