"""One genre for an album, through the installed program: excerpts of a real recording, of which some are unsure."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.decision.album import pooled_probabilities, with_genre
from genrify_tagger.song_groups import album_folder
from genrify_tagger.watch.debouncer import Debouncer
from genrify_tagger.watch.settled_albums import LONGEST_SECONDS, SettledAlbums
from tests import media, tagging
from tests.beets_library import Beets, need_beets
from tests.learning import fill, settings_for
from tests.program import Program
from tests.watching import genre, watching

UNSURE = 6  # the excerpt at this second sounds least like Classical
STARTS = (0, 2, 4, UNSURE, 8)
SURE = ("--min-confidence", "0.6")
ALBUM = ("--album", *SURE)


@pytest.fixture(scope="session")
def masters(tmp_path_factory) -> Path:
    """Return a folder with an excerpt for each start, without tags."""
    folder = tmp_path_factory.mktemp("excerpts")
    for start in STARTS:
        cut = ("-ss", str(start), "-t", "4", "-i", media.CLASSICAL, "-map_metadata", "-1", "-c:a", "flac")
        media.ffmpeg(*cut, folder / f"{start}.flac")
    return folder


def put(masters: Path, start: int, folder: Path, **tags: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{start}.flac"
    given = {"artist": "Ensemble", "album": "Dances", "title": f"Dance {start}", **tags}
    words = [part for name, value in given.items() if value for part in ("-metadata", f"{name}={value}")]
    media.ffmpeg("-i", masters / f"{start}.flac", "-c", "copy", *words, path)
    return path


@pytest.fixture
def program(tmp_path) -> Program:
    (tmp_path / "home").mkdir()
    return Program(tmp_path / "home")


@pytest.fixture
def music(masters, tmp_path) -> Path:
    for start in STARTS:
        put(masters, start, tmp_path / "music" / ("CD 1" if start < UNSURE else "CD 2"))
    return tmp_path / "music"


def statuses(results: list[dict]) -> dict[int, str]:
    return {int(Path(item["path"]).stem): item["status"] for item in results}


def test_an_album_gets_one_genre_across_its_discs_and_undo_takes_it_back(program, music, tmp_path):
    before = {path: path.read_bytes() for path in music.rglob("*.flac")}
    by_song = statuses(program.scan(music, "--dry-run", *SURE))
    assert {start for start, status in by_song.items() if status == "unsure"} == {UNSURE}

    planned = program.scan(music, "--dry-run", *ALBUM)
    assert {path: path.read_bytes() for path in before} == before
    results = program.scan(music, *ALBUM)
    decided = [
        [{key: item[key] for key in ("path", "status", "after", "confidence", "reason", "evidence")} for item in items]
        for items in (planned, results)
    ]
    assert decided[0] == decided[1]
    assert {tuple(item["after"]) for item in results} == {("Classical",)}
    assert {item["reason"] for item in results} == {"the genre of its album, by 5 songs"}
    assert len({item["confidence"] for item in results}) == 1
    assert all(item["evidence"]["whole_album"][0]["genre"] == "Classical" for item in results)
    assert {tagging.genres(path) for path in before} == {("Classical",)}

    assert {item["status"] for item in program.scan(music, *ALBUM)} == {"unchanged"}
    again = Program(tmp_path / "home2")
    again.home.mkdir()
    program("undo")
    assert {path: path.read_bytes() for path in before} == before
    one_job = again.scan(music, "--dry-run", "-j", "1", *ALBUM)
    assert [item["confidence"] for item in one_job] == [item["confidence"] for item in results]


def test_show_explains_a_genre_by_the_album(program, music):
    program.scan(music, *ALBUM)
    shown = program("show", music / "CD 2" / f"{UNSURE}.flac", GENRIFY_TAGGING__MIN_CONFIDENCE="0.6").stdout
    assert "Last scan: tagged (the genre of its album, by 5 songs)" in shown


@pytest.mark.parametrize(
    "tags",
    [
        {"album_artist": "Various Artists"},
        {"compilation": "1"},
        {"album": "Dances (Original Soundtrack)"},
        {"album": ""},
    ],
)
def test_compilations_soundtracks_and_songs_of_no_album_are_decided_song_by_song(program, masters, tmp_path, tags):
    for start in STARTS:
        put(masters, start, tmp_path / "music", **tags)
    results = program.scan(tmp_path / "music", *ALBUM)
    assert {start for start, status in statuses(results).items() if status == "unsure"} == {UNSURE}
    assert not any(item["reason"] for item in results if item["status"] == "tagged")


def test_albums_in_one_folder_and_of_one_name_in_two_are_told_apart(program, masters, tmp_path):
    for start in STARTS:
        put(masters, start, tmp_path / "music" / "a", album="One" if start == UNSURE else "Two")
    alone = put(masters, UNSURE, tmp_path / "music" / "b", album="Two")
    results = program.scan(tmp_path / "music", *ALBUM)
    unsure = [item["path"] for item in results if item["status"] == "unsure"]
    assert unsure == [str(tmp_path / "music" / "a" / f"{UNSURE}.flac"), str(alone)]


def test_an_unsure_song_gets_its_albums_genre_when_the_other_songs_arrive(program, masters, tmp_path):
    music = tmp_path / "music"
    put(masters, UNSURE, music)
    assert statuses(program.scan(music, *ALBUM)) == {UNSURE: "unsure"}
    for start in STARTS:
        if start != UNSURE:
            put(masters, start, music)
    results = program.scan(music, *ALBUM)
    assert set(statuses(results).values()) == {"tagged"}
    assert {item["reason"] for item in results} == {"the genre of its album, by 5 songs"}


def test_a_named_song_is_decided_with_its_album_and_the_next_scan_does_the_others(program, masters, tmp_path):
    music = tmp_path / "music"
    first = put(masters, UNSURE, music)
    program.scan(music, *ALBUM)
    for start in (2, 4, 8):
        put(masters, start, music)
    program.scan(music / "2.flac", *ALBUM)
    assert tagging.genres(first) == (), "a song that was not named is left alone"
    assert statuses(program.scan(music, *ALBUM)) == {2: "unchanged", 4: "tagged", 8: "tagged", UNSURE: "tagged"}


def test_songs_with_a_genre_keep_it_and_speak_for_their_album(program, masters, tmp_path):
    music = tmp_path / "music"
    kept = [
        put(masters, start, music, genre=genre) for start, genre in ((0, "classical"), (2, "Opera"), (4, "Classical"))
    ]
    other = put(masters, 8, music, genre="Jazz")
    song = put(masters, UNSURE, music)
    results = {item["path"]: item for item in program.scan(music, "--album", "--min-confidence", "0.75")}
    assert {results[str(path)]["status"] for path in (*kept, other)} == {"kept"}
    assert tagging.genres(other) == ("Jazz",)
    assert results[str(song)]["after"] == ["Classical"]


def test_the_service_waits_for_the_rest_of_an_album_and_comes_back_to_unsure_songs(program, masters, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    with watching(program, music, options=SURE, GENRIFY_TAGGING__SCOPE="album") as service:
        first = put(masters, UNSURE, music)
        service.rest()
        assert service.files()[str(first)] == ("unsure", True)
        others = [put(masters, start, music) for start in STARTS if start != UNSURE]
        for path in (*others, first):
            assert service.tagged(path) == ["Classical"]
        assert genre(first) == ["Classical"]
        assert len(program.scan(music, "--dry-run", *ALBUM)) == len(STARTS)


def test_beets_albums_get_one_genre_where_asked_for(masters, tmp_path):
    need_beets()
    for start in STARTS:
        put(masters, start, tmp_path / "in" / "An album", album="", album_artist="Ensemble")
    beets = Beets(tmp_path / "home", plugins=[])
    beets("import", "-A", tmp_path / "in")
    beets.plugins = ["genrify"]
    beets.settings = {"min_confidence": 0.6}
    beets.configure()
    pretended = beets("genrify", "--pretend").stderr
    assert "1 unsure" in pretended
    beets("modify", "-y", "-a", "album=Dances")
    beets.configure(scope="album")
    beets("genrify")
    assert set(beets.genres().values()) == {"Classical"}
    assert beets.album_genres() == {"Dances": "Classical"}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/m/A/01.mp3", "/m/A"),
        ("/m/A/CD1/01.mp3", "/m/A"),
        ("/m/A/Disc 2 - Live/01.mp3", "/m/A"),
        ("/m/A [CD 2]/01.mp3", "/m/A"),
        ("/m/A (disc 1 of 2)/01.mp3", "/m/A"),
        ("/m/ABCD 1/01.mp3", "/m/ABCD 1"),
        ("/m/Disco 70/01.mp3", "/m/Disco 70"),
        ("/01.mp3", "/"),
    ],
)
def test_discs_share_a_folder(path, folder):
    assert album_folder(path) == folder


def test_a_genre_in_a_file_counts_more_than_a_songs_sound_and_doubt_cancels_out():
    sound, other = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.5, 0.2])
    told = with_genre(sound, np.array([False, True, False]))
    assert told.sum() == pytest.approx(1)
    assert told[1] == pytest.approx(0.95)
    pooled = pooled_probabilities([sound, other])
    assert pooled[0] == pytest.approx(pooled[1])
    assert pooled_probabilities([sound, told]).argmax() == 1
    assert pooled_probabilities([sound] * 3) == pytest.approx(sound, abs=1e-3)


def test_settled_songs_wait_for_their_album_but_not_for_ever(masters, tmp_path):
    now = defaultdict(float)
    paths = [str(put(masters, start, tmp_path / "a")) for start in (0, 2)]
    other = str(put(masters, 0, tmp_path / "b"))
    time.sleep(0.2)
    debouncer = Debouncer(0.1, clock=lambda: now["s"])
    settled = SettledAlbums(debouncer, by_album=True, clock=lambda: now["s"])
    debouncer.touch(paths[0])
    debouncer.touch(other)
    debouncer.touch(paths[1], pause=1000)
    now["s"] = 1.0
    assert [[one.path for one in group] for group in settled.due()] == [[other]]
    assert len(settled) == 1
    now["s"] = 1.5 + LONGEST_SECONDS
    assert [[one.path for one in group] for group in settled.due()] == [[paths[0]]]
    debouncer.touch(paths[0])
    now["s"] += 1001
    assert [sorted(one.path for one in group) for group in settled.due(album_folder(paths[0]))] == []
    assert [sorted(one.path for one in group) for group in settled.due()] == [paths]
    shutil.rmtree(tmp_path / "a")


def test_beets_library_is_evidence_for_a_learned_vocabulary(beets):
    """The genres are in beets' library only, and the files were never scanned."""
    beets.program.database.parent.mkdir(parents=True, exist_ok=True)
    fill(settings_for(beets.program.database.parent), artists=10)
    beets.program("learn")
    beets("modify", "-y", "-W", "title::^(Jazz 2|Dance 1|Dance 2)", "genres=chanson")
    explained = beets("genrify", "--explain", "title:Jazz 1").stdout
    assert "; 3 of 3 other songs of the artist are Chanson; 3 of 3 other songs of the album are Chanson; " in explained
    beets("modify", "-y", "-W", "title:Dance 2", "genres=Kids")
    explained = beets("genrify", "--explain", "title:Jazz 1").stdout
    assert "; 2 of 3 other songs of the album are Chanson; " in explained
    for of_the_model in ("gtzan", "tree"):
        beets.configure(vocabulary=of_the_model)
        explained = beets("genrify", "--explain", "title:Jazz 1").stdout
        assert f"; {of_the_model}, model" in explained and "other songs" not in explained
