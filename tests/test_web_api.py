"""The page's API through a running server: songs dropped, analysed, downloaded; tracks found, corrected, undone."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import av
import jsonschema
import mediafile
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from genrify_tagger.config import DatabaseSettings, Settings
from genrify_tagger.pipeline import open_session
from genrify_tagger.web.tasks import TaskQueue
from genrify_tagger.web.views import describe_confidence
from tests import media
from tests.page import CHANGING, Page, serving
from tests.program import Program


def make_library(folder: Path) -> Path:
    for name, kind, source, genre in (
        ("Brahms/dance", "flac", media.CLASSICAL, None),
        ("Brahms/tagged", "opus", media.CLASSICAL, "Classical"),
        ("Combo/first", "mp3-v2.3", media.JAZZ, None),
        ("Combo/second", "wma", media.JAZZ, None),
        ("Combo/third", "ape", media.JAZZ, None),
        ("Combo/fourth", "m4a-aac", media.JAZZ, None),
    ):
        media.make(kind, (folder / name).parent, Path(name).name, source=source, genre=genre)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home, music = tmp_path_factory.mktemp("home"), make_library(tmp_path_factory.mktemp("music"))
    program = Program(home)
    program.scan(music)
    with serving(program) as page:
        yield program, music, page


@pytest.fixture
def page(made) -> Page:
    return made[2]


def genres_in(path: Path) -> list[str]:
    return mediafile.MediaFile(path).genres or []


# --- songs dropped on the page ---


@pytest.mark.parametrize("kind", media.KINDS)
def test_a_song_of_every_kind_is_analysed_drawn_and_downloaded(page, kind, tmp_path):
    song = media.master(kind, media.CLASSICAL)
    upload = page.analysed(song)
    assert (upload["state"], upload["error"]) == ("done", None)
    report = upload["song"]
    assert report["guess"] == "Classical"
    first = report["scores"][0]
    assert (first["label"], first["name"], first["path"]) == ("classical", "Classical", "Classical")
    assert first["score"] == pytest.approx(0.85, abs=0.1)
    total = sum(score["score"] for score in report["scores"])
    assert 0.85 < total < 1, "the rest is for music outside the tree"
    assert len(report["timeline"]) == 4 and report["duration"] == pytest.approx(12, abs=1.5)
    if kind != "mp3-bare":
        assert (report["title"], report["artist"]) == ("A title", "An artist")
    picture = page.get(report["picture"]).json
    assert len(picture["peaks"]) == len(picture["levels"]) > 100
    assert page.get(picture["mel"]).headers["Content-Type"] == "image/png"
    sound = page.get(report["sound"]).json
    assert sound["converted"] == (kind in {"aiff", "wma", "wavpack", "musepack", "ape", "ogg-speex"})
    played = page.get(sound["url"])
    assert played.headers["Content-Type"] == sound["type"]
    with av.open(io.BytesIO(played.body)) as container:
        assert sum(f.samples / f.sample_rate for f in container.decode(audio=0)) == pytest.approx(
            report["duration"], abs=1.5
        )
    tagged = page.get(f"/api/uploads/{upload['id']}/tagged", genre="Drum and Bass")
    copy = tmp_path / song.name
    copy.write_bytes(tagged.body)
    assert f"filename={song.name}" in tagged.headers["Content-Disposition"].replace('"', "")
    again = page.analysed(copy)["song"]
    assert (again["in_file"], again["title"]) == (["Drum and Bass"], report["title"])
    assert again["scores"] == report["scores"]


def test_the_copy_has_the_decided_genre_by_default(page, tmp_path):
    upload = page.analysed(media.master("flac", media.CLASSICAL))
    copy = tmp_path / "copy.flac"
    copy.write_bytes(page.get(f"/api/uploads/{upload['id']}/tagged").body)
    assert upload["song"]["genres"] == ["Classical"] == genres_in(copy)


def test_writing_a_genre_does_not_interrupt_playback(page):
    track = next(t for t in page.get("/api/tracks", limit="200").json["tracks"] if t["name"].endswith(".wma"))
    at = f"/api/tracks/{track['id']}"
    addresses = page.get(f"{at}/picture").json["mel"], page.get(f"{at}/sound").json["url"]
    before = [page.get(address).body for address in addresses]
    page.post("/api/genres", {"ids": [track["id"]], "genres": ["Cut Short"]})
    assert page.get(f"{at}/mel.png", expect=404).json["error"] == "ask for the picture first"
    assert [page.get(address).body for address in addresses] == before
    page.get(f"{at}/mel.png?version=other", expect=404)


def test_a_dropped_song_leaves_no_trace(made, tmp_path):
    program, _, page = made
    wav = tmp_path / "new.wav"
    media.ffmpeg("-f", "lavfi", "-i", "sine=f=300:d=9", wav)
    before = program("export", "--format", "jsonl").stdout, program("db", "prune", "--dry-run").stdout
    upload = page.analysed(wav)
    assert upload["state"] == "done"
    kept = [path for path in (program.home / ".cache").rglob("song.wav") if path.read_bytes() == wav.read_bytes()]
    assert len(kept) == 1
    assert kept[0].parent.stat().st_mode & 0o077 == 0
    assert page.ask("DELETE", f"/api/uploads/{upload['id']}", headers=CHANGING).status == 200
    assert not kept[0].exists()
    page.get(f"/api/uploads/{upload['id']}", expect=404)
    assert (program("export", "--format", "jsonl").stdout, program("db", "prune", "--dry-run").stdout) == before


@pytest.mark.parametrize(
    ("body", "name", "status", "words"),
    [
        (b"text", "notes.txt", 415, "not an audio file"),
        (b"text", "no suffix", 415, "not an audio file"),
        (b"", "empty.mp3", 400, "empty"),
    ],
)
def test_files_that_are_not_songs_are_refused(page, body, name, status, words):
    assert words in page.upload(body, name, status=status)["error"]


def test_silence_has_no_guess(page, tmp_path):
    silent = tmp_path / "silent.flac"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc", "-t", "12", silent)
    song = page.analysed(silent)["song"]
    assert (song["guess"], song["genres"], song["reason"]) == (None, [], "silence")
    assert song["confidence_words"] == "silence" and song["container"] == "FLAC"
    assert {(part["label"], part["name"], part["score"]) for part in song["timeline"]} == {(None, None, 0.0)}


def test_a_broken_song_fails_with_a_message(page):
    upload = page.analysed(b"this is no music at all" * 100, "broken.mp3")
    assert upload["state"] == "failed" and upload["error"]
    assert "Traceback" not in upload["error"] and "/" not in upload["error"]
    page.get(f"/api/uploads/{upload['id']}/tagged", expect=409)
    page.get(f"/api/uploads/{upload['id']}/picture", expect=422)


def test_a_song_that_cannot_hold_a_genre_is_analysed_anyway(page, tmp_path):
    mka = tmp_path / "song.mka"
    media.ffmpeg("-i", media.CLASSICAL, "-c:a", "flac", mka)
    upload = page.analysed(mka)
    assert upload["song"]["guess"] == "Classical" and upload["song"]["taggable"] is False
    assert "no place for a genre" in page.get(f"/api/uploads/{upload['id']}/tagged", expect=422).json["error"]


@pytest.mark.parametrize(
    "name", ["../../etc/pass.flac", "..\\..\\x.flac", "/root/x.flac", "a\nb.flac", "x" * 5000 + ".flac"]
)
def test_a_name_is_only_a_name(page, name):
    upload = page.upload(media.master("flac"), name)
    assert "/" not in upload["name"] and "\\.." not in upload["name"] and upload["name"].isprintable()
    assert len(upload["name"]) <= 200 and upload["name"].endswith(".flac")


# --- playing ---


def test_ranges_are_those_of_the_file(made):
    _, music, page = made
    data = (music / "Combo/first.mp3").read_bytes()
    address = f"/api/tracks/{page.track('combo first')['id']}/audio"
    whole = page.get(address)
    assert whole.body == data and whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Type"] == "audio/mpeg"
    for asked, start, stop in (
        ("bytes=0-99", 0, 100),
        ("bytes=1000-", 1000, len(data)),
        ("bytes=-100", len(data) - 100, len(data)),
        (f"bytes=5-{10 * len(data)}", 5, len(data)),
        (f"bytes=-{10 * len(data)}", 0, len(data)),
    ):
        answer = page.ask("GET", address, headers={"Range": asked})
        part = data[start:stop]
        assert answer.status == 206 and answer.body == part, asked
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(data)}"
    beyond = page.ask("GET", address, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status == 416 and beyond.headers["Content-Range"] == f"bytes */{len(data)}"
    for no_range in (
        {"Range": "bytes=0-9", "If-Range": '"another version"'},
        {"Range": "bytes=0-9", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"Range": "bytes=0-9,20-29"},
        {"Range": "seconds=0-9"},
        {"Range": "bytes=9-0"},
    ):
        stale = page.ask("GET", address, headers=no_range)
        assert (stale.status, stale.body) == (200, data), no_range
    same = page.ask("GET", address, headers={"Range": "bytes=0-9", "If-Range": whole.headers["ETag"]})
    assert (same.status, same.body) == (206, data[:10])
    head = page.ask("HEAD", address)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(data)))


def test_a_range_of_converted_sound(made):
    page = made[2]
    track = page.track("combo second")
    page.get(f"/api/tracks/{track['id']}/opus", expect=404)
    sound = page.get(f"/api/tracks/{track['id']}/sound").json
    assert sound["converted"] and sound["type"] == "audio/webm"
    whole = page.get(sound["url"]).body
    assert page.ask("GET", sound["url"], headers={"Range": "bytes=100-199"}).body == whole[100:200]
    same = page.get(f"/api/tracks/{page.track('combo first')['id']}/sound", converted="1").json
    assert same["converted"]


def test_tracks_have_title_artist_and_album(page):
    tracks = page.get("/api/tracks").json["tracks"]
    assert len(tracks) == 6
    assert {(one["title"], one["artist"], one["album"]) for one in tracks} == {("A title", "An artist", "An album")}


def test_search_by_names_in_the_tags(own):
    program, music, page = own
    song = music / "Combo/first.mp3"
    other = mediafile.MediaFile(song)
    other.title, other.artist, other.album = "Für Élise", "Ludwig", "100% Piano_"
    other.save()
    assert page.get("/api/tracks", q="ludwig").json["total"] == 0
    assert {result["status"] for result in program.scan(music)} == {"unchanged", "unsure"}
    for words in ("ludwig", "élise", "FÜR LUDWIG", "100% combo piano_", "first elise".replace("elise", "Élise")):
        assert [track["name"] for track in page.get("/api/tracks", q=words).json["tracks"]] == ["first.mp3"], words
    assert page.get("/api/tracks", q="ludwig brahms").json["total"] == 0
    assert page.get("/api/tracks", q="an artist").json["total"] == 5
    shown = page.get("/library", q="ludwig", sort="title").text
    assert shown.index("Für Élise") < shown.index("Ludwig")
    page.post("/api/genres", {"ids": [page.track("ludwig")["id"]], "genres": ["Jazz"]})
    assert page.track("ludwig")["title"] == "Für Élise"


def test_titles_are_added_to_an_older_database_without_analysing_again(own):
    program, music, page = own
    with closing(sqlite3.connect(program.database)) as connection, connection:
        connection.execute("UPDATE files SET title = NULL, artist = NULL, album = NULL")
    assert page.track("combo first")["title"] is None
    assert "first.mp3" in page.get("/library").text
    again = program.scan(music)
    assert {result["status"] for result in again} <= {"unsure", "kept"} and all(one["cached"] for one in again)
    assert page.get("/api/tracks", q="title").json["total"] == 6
    assert {result["status"] for result in program.scan(music)} == {"unchanged"}


def test_similar_tracks(page):
    track = page.track("combo first")
    found = page.get(f"/api/tracks/{track['id']}/similar", count=3).json["similar"]
    assert {one["track"]["name"] for one in found} == {"second.wma", "third.ape", "fourth.m4a"}
    upload = page.analysed(media.master("flac", media.CLASSICAL))
    nearest = page.get(f"/api/uploads/{upload['id']}/similar", count=1).json["similar"][0]
    assert nearest["track"]["name"] in {"dance.flac", "tagged.opus"} and nearest["similarity"] > 0.95


# --- correcting and undoing ---


@pytest.fixture
def own(tmp_path):
    """A library of its own, to be changed."""
    program, music = Program(tmp_path / "home"), make_library(tmp_path / "music")
    (tmp_path / "home").mkdir()
    program.scan(music)
    with serving(program) as page:
        yield program, music, page


def test_correct_accept_and_undo_byte_for_byte(own):
    program, music, page = own
    first, second = music / "Combo/first.mp3", music / "Combo/second.wma"
    before = first.read_bytes(), second.read_bytes()
    ids = [page.track(f"combo {name}")["id"] for name in ("first", "second")]

    chosen = page.post("/api/genres", {"ids": ids[:1], "genres": ["hiphop"]})
    assert (chosen["changed"], chosen["failed"]) == (1, 0)
    assert genres_in(first) == ["Hip-Hop"]
    track = page.track("combo first")
    assert (track["status"], track["reason"], track["genres"]) == ("kept", "set by hand", ["Hip-Hop"])

    accepted = page.post("/api/accept", {"ids": ids})
    rows = page.get("/api/rows", id=ids).json["tracks"]
    assert [(row["id"], row["status"]) for row in rows] == [(key, "kept") for key in ids]
    assert accepted["changed"] == 2 and accepted["run"] == chosen["run"] + 1
    assert genres_in(first) == genres_in(second) == ["Jazz"]
    assert {result["status"] for result in program.scan(music)} == {"unchanged"}

    taken = page.post(f"/api/runs/{accepted['run']}/undo")
    assert taken["changed"] == 2
    assert genres_in(first) == ["Hip-Hop"] and second.read_bytes() == before[1]
    changes = page.get(f"/api/runs/{chosen['run']}").json["changes"]
    page.post(f"/api/changes/{changes[0]['id']}/undo")
    assert (first.read_bytes(), second.read_bytes()) == before
    page.post(f"/api/changes/{changes[0]['id']}/undo", status=409)
    page.post(f"/api/runs/{chosen['run']}/undo", status=409)
    runs = page.get("/api/runs").json["runs"]
    assert [run["arguments"][0] for run in runs if run["command"] == "web"] == ["undo", "undo", "accept", "set"]
    assert program("history", "--format", "jsonl").stdout.count('"command": "web"') == 4


def test_accept_reports_tracks_without_a_suggestion(own):
    program, music, page = own
    (music / "Combo/broken.mp3").write_text("no music")
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc", "-t", "12", music / "Combo/silent.flac")
    program.scan(music, status=None)
    ids = [page.track(f"combo {name}")["id"] for name in ("first", "broken", "silent")]
    done = page.post("/api/accept", {"ids": ids})
    assert (done["changed"], done["skipped"], done["failed"]) == (1, 2, 0)
    assert {result["name"] for result in done["results"] if result["status"] == "skipped"} == {
        *("broken.mp3", "silent.flac")
    }
    assert page.get(f"/api/runs/{done['run']}").json["changes"][0]["name"] == "first.mp3"


def test_each_genre_of_the_tree_has_a_colour_and_no_other_has(own):
    _, _, page = own
    page.post("/api/genres", {"ids": [page.track("combo first")["id"]], "genres": ["New Age", "Polka"]})
    shown = page.get("/library?genre=New+Age").text
    colour = re.search(r'<span class="tag (g\d+)">New Age<', shown)[1]
    assert f".{colour} {{ --g: #" in page.get("/genres.css").text
    assert '<span class="tag ">Polka<' in shown


def test_a_song_is_told_by_the_tree_and_a_subgenre_with_its_top_genre(own):
    _, _, page = own
    song = page.get(f"/api/tracks/{page.track('combo first')['id']}").json
    assert song["vocabulary"] == "tree"
    assert re.fullmatch(r"Jazz 0\.\d\d: (Jazz|nothing) is written", song["tree"])
    paths = {score["name"]: score["path"] for score in song["scores"]}
    assert (paths["Jazz"], paths["Metal"], paths["Disco"]) == ("Jazz", "Rock > Metal", "R&B > Disco")
    assert {genre["name"]: genre["path"] for genre in page.get("/api/genres").json["genres"]} == paths


def test_a_song_in_two_places_is_queued_and_answered_once(tmp_path):
    program, music = Program(tmp_path / "home"), tmp_path / "music"
    (tmp_path / "home").mkdir()
    copies = [media.make("mp3-v2.3", music / name, "song") for name in ("incoming", "library")]
    other = media.make("flac", music, "other")
    program.scan(music, "--min-confidence", "1")
    with serving(program) as page:
        queue = page.get("/api/tracks", status="unsure", order="confidence").json
        assert queue["total"] == page.get("/api/service").json["counts"]["unsure"] == 2
        assert [track["folder"] for track in queue["tracks"] if track["name"] == "song.mp3"] == [str(copies[0].parent)]
        assert page.get("/api/tracks").json["total"] == 3
        key = next(track["id"] for track in queue["tracks"] if track["name"] == "song.mp3")
        answered = page.post("/api/genres", {"ids": [key], "genres": ["Blues"]})
        assert answered["changed"] == 2
        assert [genres_in(path) for path in (*copies, other)] == [["Blues"], ["Blues"], []]
        left = page.get("/api/tracks", status="unsure").json
        assert [track["name"] for track in left["tracks"]] == ["other.flac"] and left["total"] == 1
        accepted = page.post("/api/accept", {"ids": [left["tracks"][0]["id"]]})
        assert accepted["changed"] == 1
        assert page.get("/api/tracks", status="unsure").json["total"] == 0


def test_removing_a_genre_can_be_undone(own):
    _, music, page = own
    song = music / "Brahms/tagged.opus"
    before = song.read_bytes()
    done = page.post("/api/genres", {"ids": [page.track("tagged")["id"]], "genres": []})
    assert genres_in(song) == []
    page.post(f"/api/runs/{done['run']}/undo")
    assert song.read_bytes() == before


def test_undo_refuses_what_another_program_changed(own):
    _, music, page = own
    song = music / "Combo/first.mp3"
    done = page.post("/api/genres", {"ids": [page.track("combo first")["id"]], "genres": ["Jazz"]})
    other = mediafile.MediaFile(song)
    other.genres = ["Polka"]
    other.save()
    taken = page.post(f"/api/runs/{done['run']}/undo")
    assert (taken["changed"], taken["failed"]) == (0, 1)
    assert genres_in(song) == ["Polka"]


def test_one_bad_file_does_not_stop_the_others(own):
    _, music, page = own
    ids = [page.track(f"combo {name}")["id"] for name in ("first", "second", "third")]
    (music / "Combo/second.wma").unlink()
    done = page.post("/api/genres", {"ids": ids, "genres": ["Jazz"]})
    assert (done["changed"], done["failed"]) == (2, 1)
    assert [one["name"] for one in done["results"] if one["status"] == "failed"] == ["second.wma"]


def test_a_change_goes_on_if_it_takes_longer_than_a_request_waits(own, tmp_path):
    program, music, page = own
    folder = music / "many"
    folder.mkdir()
    for number in range(60):
        shutil.copy(media.master("mp3-v2.3"), folder / f"{number:02}.mp3")
    program.scan(music)
    ids = [track["id"] for track in page.get("/api/tracks", q="many", limit=200).json["tracks"]]
    assert len(ids) == 60
    done = page.post("/api/genres", {"ids": ids, "genres": ["Jazz"]})
    assert done["changed"] == 61  # a song of the library has the same audio, and is unsure like its copies
    assert genres_in(folder / "59.mp3") == ["Jazz"]


def test_a_change_that_fails_unexpectedly_still_ends(tmp_path):
    settings = replace(Settings(), database=DatabaseSettings(url=f"sqlite:///{tmp_path / 'genrify.db'}"))
    with open_session(settings) as session:
        tasks = TaskQueue(session)
        task = tasks.submit(["accept", "1 file"], lambda run: [1 // 0], wait=30.0)
        tasks.close()
        assert (task.state, session.store.run(task.run).status) == ("failed", "failed")
        assert "unexpected" in task.error


def test_a_server_that_is_stopped_finishes_the_write_in_progress(tmp_path):
    program, music = Program(tmp_path / "home"), tmp_path / "music"
    (tmp_path / "home").mkdir()
    music.mkdir()
    for number in range(150):
        shutil.copy(media.master("mp3-v2.3"), music / f"{number:03}.mp3")
    program.scan(music)
    with serving(program) as page:
        ids = [track["id"] for track in page.get("/api/tracks", limit=150).json["tracks"]]
        body = json.dumps({"ids": ids, "genres": ["Jazz"]}).encode()
        page.ask("POST", "/api/genres", body, {**CHANGING, "Content-Type": "application/json"})
    written = sum(genres_in(music / f"{number:03}.mp3") == ["Jazz"] for number in range(150))
    assert 0 < written <= 150
    assert program("db", "check").stdout.count("begun but not finished") == 0
    history = program("history", "--format", "jsonl").stdout.splitlines()
    assert json.loads(history[0])["changed"] == written


# --- albums, covers, and one number for one thing ---


def test_the_library_is_grouped_by_album(own, tmp_path):
    program, music, page = own
    for disc in (1, 2):
        for number in range(2):
            song = media.make("flac", music / "Long" / f"CD {disc}", f"{disc}-{number}", source=media.CLASSICAL)
            tags = mediafile.MediaFile(song)
            tags.title, tags.artist, tags.album = f"Part {disc}.{number}", "Ensemble", "The Long Work"
            tags.save()
    program.scan(music)
    text = page.get("/library").text
    assert text.count("<strong data-album-title>The Long Work</strong>") == 1  # two folders of discs, one album
    assert re.search(r"The Long Work</strong> <small[^>]*>Ensemble · 4 songs<", text)
    order = [text.index(f">{title}<") for title in ("Part 1.0", "Part 1.1", "Part 2.0", "Part 2.1")]
    assert order == sorted(order)
    assert "data-album-title" not in page.get("/library?sort=title").text


def test_an_album_is_not_cut_at_the_end_of_a_page(own):
    program, music, page = own
    for number in range(9):
        song = media.make("mp3-v2.3", music / "Nine", f"{number}")
        tags = mediafile.MediaFile(song)
        tags.title, tags.album = f"Nine {number}", "Nine Songs"
        tags.save()
    program.scan(music)
    first = page.get("/library", limit=10).text
    assert "Nine Songs" not in first and "An album" in first
    following = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    second = page.get(following.replace("/library?", "/library?limit=10&")).text
    assert [f">Nine {number}<" in second for number in range(9)] == [True] * 9
    back = re.search(r'rel="prev" href="([^"]+)"', second)[1].replace("&amp;", "&")
    assert "An album" in page.get(back.replace("/library?", "/library?limit=10&")).text


def test_a_cover_is_shown_where_the_file_has_one(own, tmp_path):
    program, music, page = own
    song = music / "Brahms/dance.flac"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=s=500x500", "-frames:v", "1", tmp_path / "cover.png")
    tags = mediafile.MediaFile(song)
    tags.images = [mediafile.Image(data=(tmp_path / "cover.png").read_bytes())]
    tags.save()
    program.scan(music)
    key = page.track("dance")["id"]
    cover = page.get(page.get(f"/api/tracks/{key}/cover").json["url"])
    assert cover.headers["Content-Type"] == "image/jpeg" and cover.body.startswith(b"\xff\xd8\xff")
    none = page.track("combo first")["id"]
    assert page.get(f"/api/tracks/{none}/cover").json == {"url": None}
    upload = page.analysed(song)
    assert page.get(upload["song"]["cover"]).json["url"].startswith(f"/api/uploads/{upload['id']}/cover.jpg")


def test_undoing_a_redo_is_offered_once(own):
    _, _, page = own
    written = page.post("/api/genres", {"ids": [page.track("combo first")["id"]], "genres": ["Jazz"]})["run"]
    undone = page.post(f"/api/runs/{written}/undo")["run"]

    def offers() -> dict[int, tuple[str, bool]]:
        return {run["run"]: (run["kind"], run["can_undo"]) for run in page.get("/api/runs").json["runs"]}

    assert {key: offers()[key] for key in (written, undone)} == {written: ("write", False), undone: ("undo", True)}
    redone = page.post(f"/api/runs/{undone}/undo")["run"]
    found = offers()
    assert [found[key] for key in (written, undone, redone)] == [("write", True), ("undo", False), ("redo", False)]
    assert f'data-undo-run="{redone}"' not in page.get("/history").text
    assert "data-undo-change" not in page.get(f"/history/{redone}").text
    page.post(f"/api/runs/{written}/undo")
    assert page.track("combo first")["genres"] == []


def test_runs_of_beets_are_undone_in_beets(own):
    program, _, page = own
    runs = [
        page.post("/api/genres", {"ids": [page.track(f"combo {name}")["id"]], "genres": ["Jazz"]})["run"]
        for name in ("first", "third")
    ]
    with closing(sqlite3.connect(program.database)) as connection, connection:
        connection.execute("UPDATE runs SET command = 'beet import' WHERE id IN (?, ?)", runs)
        connection.execute("UPDATE changes SET origin = 'beets' WHERE run IN (?, ?)", runs)
    text = page.get("/history").text
    assert text.count("beet genrify --undo") == 1
    assert all(f'data-undo-run="{run}"' not in text for run in runs)
    assert "beet genrify --undo" in page.post(f"/api/runs/{runs[0]}/undo", status=409)["error"]


def test_what_beets_has_undone_is_not_offered_again(beets):
    beets("genrify")
    beets("genrify", "--undo")
    with serving(beets.program) as page:
        undo, written = page.get("/api/runs").json["runs"]
        assert [(run["kind"], run["undo_in_beets"], run["can_undo"]) for run in (written, undo)] == [
            ("beets", False, False),
            ("beets_undo", False, False),
        ]
        for address in ("/history", f"/history/{written['run']}", f"/history/{undo['run']}"):
            text = page.get(address).text
            assert "data-beets" not in text and "data-undo" not in text
        refused = page.post(f"/api/runs/{undo['run']}/undo", status=409)["error"]
        assert "beet genrify --force" in refused
        beets("genrify", "--force", "title:Jazz 1")
        assert page.get("/history").text.count("<code>beet genrify --undo</code>") == 1


def test_the_overview_says_how_sure_the_program_was_and_is(own):
    program, _, page = own
    before = page.get("/api/overview").json
    assert before["sure_then"] == before["sure_now"]
    sure = sum(track["status"] == "tagged" for track in page.get("/api/tracks").json["tracks"])
    assert before["sure_then"]["sure"] == sure > 0
    with serving(program, GENRIFY_TAGGING__MIN_CONFIDENCE="0.99") as strict:
        now = strict.get("/api/overview").json
        assert now["threshold"] == 0.99
        assert now["sure_then"] == before["sure_then"]
        assert now["sure_now"] == {"sure": 0, "unsure": sum(before["sure_then"].values())}
        assert "threshold of 0.99" in strict.get("/overview").text


def test_the_counts_follow_a_change_at_once(own):
    _, _, page = own
    unsure = page.get("/api/service").json["counts"]["unsure"]
    page.post("/api/accept", {"ids": [page.track("combo first")["id"]]})
    assert page.get("/api/service").json["counts"]["unsure"] == unsure - 1
    assert page.get("/api/tracks", status="unsure").json["total"] == unsure - 1


def test_an_empty_start_page_has_three_steps(made, program):
    assert "data-steps" not in made[2].get("/").text
    with serving(program) as empty:
        steps = re.search(r"data-steps>(.*?)</section>", empty.get("/").text, re.DOTALL)[1]
        assert steps.count("<li>") == 3 and "scan --dry-run" in steps


# --- the description ---


@pytest.fixture(scope="module")
def document(made):
    return made[2].get("/api/openapi.json").json


def test_the_description_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_described_and_every_description_has_a_route(document):
    from flask import Flask

    from genrify_tagger.web import api, learning_api, media_api, upload_api

    app = Flask("routes")
    for part in (api.api, learning_api.api, media_api.api, upload_api.api):
        app.register_blueprint(part)
    served = set()
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/"):
            continue
        for kind in ("tracks", "uploads") if "<any(" in rule.rule else ("",):
            address = re.sub(r"<any\([^)]*\):kind>", kind, rule.rule)
            address = re.sub(
                r"<(?:int\(max=\d+\):)?(\w+)>", lambda found: "{{{}}}".format(found[1].replace("key", "id")), address
            )
            served |= {(address, method.lower()) for method in rule.methods - {"HEAD", "OPTIONS"}}
    described = {
        (address, method) for address, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert served == described


def test_the_server_answers_as_described(made, document):
    """Walk through every operation with real values, and hold each answer to its schema."""
    _, _, page = made
    upload = page.analysed(media.master("flac", media.CLASSICAL))
    track = page.track("brahms dance")["id"]
    run = page.post("/api/accept", {"ids": [track]})["run"]
    change = page.get(f"/api/runs/{run}").json["changes"][0]["id"]
    values = {"run": run, "change": change}
    task = page.post("/api/genres", {"ids": [track], "genres": ["Classical"]})["id"]
    bodies = {
        "setGenres": {"ids": [track], "genres": ["Rock"]},
        "acceptSuggestions": {"ids": [track]},
        "keepGenres": {"ids": [track]},
        "login": {"token": "any"},
    }
    seen = []
    last = [("/api/uploads/{id}", "delete")]
    operations = [
        (address, method, operation)
        for address, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    for address, method, operation in sorted(operations, key=lambda one: (one[0], one[1]) in last):
        kind = address.split("/")[2]
        one = {**values, "id": {"tracks": track, "uploads": upload["id"], "tasks": task}.get(kind, "")}
        path = re.sub(r"{(\w+)}", lambda found, one=one: str(one[found[1]]), address)
        key = operation["operationId"]
        if key in {"undoChange", "undoRun"}:
            mine = page.post("/api/genres", {"ids": [track], "genres": [key]})
            newest = page.get(f"/api/runs/{mine['run']}").json["changes"][0]["id"]
            path = f"/api/runs/{mine['run']}/undo" if key == "undoRun" else f"/api/changes/{newest}/undo"
        if any(part["name"] == "id" and part["in"] == "query" for part in operation["parameters"]):
            path += f"?id={track if kind == 'rows' else upload['id']}"
        body = media.master("flac").read_bytes() if key == "upload" else json.dumps(bodies.get(key, {})).encode()
        headers = {"X-File-Name": "song.flac"} if key == "upload" else {"Content-Type": "application/json"}
        deadline = time.monotonic() + 30
        if path.endswith(("/opus", "/mel.png")):
            page.get(path.replace("/opus", "/sound?converted=1").replace("/mel.png", "/picture"))
        while True:
            answer = page.ask(method.upper(), path, body if method == "post" else None, {**CHANGING, **headers})
            if answer.status not in {202, 503} or time.monotonic() > deadline:
                break
            if answer.status == 202:
                hold(document, operation, answer)
            if method == "post":
                break
            time.sleep(0.1)
        assert answer.status in {200, 201, 202}, (key, answer.status, answer.body[:300])
        hold(document, operation, answer)
        seen.append(key)
    assert len(seen) == len(operations) > 30


def hold(document, operation, answer) -> None:
    described = operation["responses"][str(answer.status)]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    media_type = answer.headers["Content-Type"].split(";")[0]
    kinds = described.get("content", {})
    assert media_type in kinds or f"{media_type.split('/')[0]}/*" in kinds, (operation["operationId"], media_type)
    if media_type == "application/json":
        schema = {**kinds[media_type]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/tracks?order=size", 400),
        ("/api/tracks?status=unchanged", 400),
        ("/api/tracks?low=2", 400),
        ("/api/tracks?low=nan", 400),
        ("/api/tracks?limit=0", 400),
        ("/api/tracks?limit=1e3", 400),
        ("/api/tracks?folder=relative", 400),
        ("/api/tracks?q=%00", 400),
        ("/api/tracks?after=nonsense", 404),
        ("/api/tracks/nonsense", 404),
        ("/api/tracks/L2V0Yy9wYXNzd2Q/audio", 404),
        ("/api/rows", 400),
        ("/api/uploads", 400),
        ("/api/uploads/guess", 404),
        ("/api/tasks/none", 404),
        ("/api/runs/99999", 404),
        ("/api/runs/99999999999999999999", 404),
        ("/api/runs?before=-1", 400),
        ("/api/nothing", 404),
        ("/api/tracks/x/similar?count=many", 400),
        ("/tracks/nonsense", 404),
        ("/history/99999", 404),
        ("/library?order=size", 400),
    ],
)
def test_bad_requests_get_a_message(made, document, path, status):
    answer = made[2].ask("GET", path)
    assert answer.status == status, answer.body
    assert b"Traceback" not in answer.body
    if path.startswith("/api/"):
        jsonschema.validate(answer.json, document["components"]["schemas"]["Error"])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"no json", b"[]", b"{}", b"[" * 100_000),
        *(b'{"ids": "x", "genres": []}', b'{"ids": [], "genres": []}', b'{"ids": [1], "genres": []}'),
        *(b'{"ids": ["x"], "genres": ["a\\nb"]}', b'{"ids": ["x"], "genres": ["\\ud800"]}'),
        b'{"ids": ["\\ud800"], "genres": ["Jazz"]}',
    ],
)
def test_wrong_bodies_change_nothing(page, body):
    answer = page.ask("POST", "/api/genres", body, {**CHANGING, "Content-Type": "application/json"})
    assert answer.status in {400, 404}, answer.body
    assert answer.json["error"]


@pytest.mark.parametrize("name", ["style.css", "home.js", "common.js", "api.js", "song.js"])
def test_after_an_upgrade_no_file_of_the_old_page_is_reused(page, name):
    answer = page.get(f"/static/{name}")
    assert answer.headers["Cache-Control"] == "no-cache"  # that is: ask whether it is still the same
    again = page.ask("GET", f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert "Content-Security-Policy" in again.headers


def test_the_page_names_its_sort_orders(page):
    for asked, words in (
        ("", "Album"),
        ("order=duration", "Longest first"),
        ("sort=least-sure", "Least confident first"),
    ):
        assert f" selected>{words}</option>" in page.get(f"/library?{asked}").text, asked
    texts = [page.get(f"/library?sort={sort}").text for sort in ("longest", "shortest")]
    shown = [re.findall(r'tr data-id="([^"]+)"', text) for text in texts]
    assert len(shown[0]) == 6 and shown[0] == shown[1][::-1]


def test_no_older_changes_after_the_last_one(page):
    run = page.post("/api/genres", {"ids": [page.track("combo first")["id"]], "genres": ["Jazz"]})["run"]
    assert "There are no older changes" in page.get(f"/history/{run}?before=1").text
    page.post(f"/api/runs/{run}/undo")


def test_the_requested_page_is_shown_after_login(page):
    for path in (
        "/",
        "/library",
        "/unsure",
        "/audit",
        "/overview",
        "/history",
        "/library?status=unsure&order=confidence&q=combo",
    ):
        answer = page.get(path)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "</html>" in answer.text
    listed = page.get("/library", q="brahms").text
    assert "dance.flac" in listed and "first.mp3" not in listed
    assert "no such" not in listed


def test_what_is_not_written_is_never_called_sure():
    assert [describe_confidence(sure, 0.78) for sure in (0.95, 0.78, 0.77, 0.6, 0.3)] == [
        *("very sure", "quite sure", "almost sure enough", "more likely than not", "a guess at best")
    ]
    assert describe_confidence(0.92, 0.95) == "almost sure enough"
    assert describe_confidence(0.4, 0.3) == "a guess at best"
    assert describe_confidence(None, 0.78) == "not analysed"


def test_serve_reports_errors(made, program):
    _, _, page = made
    done = program("serve", "--port", str(page.port), status=1)
    assert (
        "in use" in done.stderr and "`genrify-tag serve --port`" in done.stderr and len(done.stderr.splitlines()) == 1
    )
    done = program("serve", "--host", "no.such.host.invalid", status=2)
    assert "token" in done.stderr
    done = program("serve", "--host", "no.such.host.invalid", status=1, GENRIFY_WEB__TOKEN="x" * 20)
    assert len(done.stderr.splitlines()) == 1


def test_without_the_extra_serve_names_it(program, tmp_path):
    (tmp_path / "flask.py").write_text("raise ModuleNotFoundError('no flask', name='flask')")
    done = subprocess.run(
        program.command("serve"), env=program.environment(PYTHONPATH=str(tmp_path)), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "pip install" in done.stderr and "[web]" in done.stderr and "Traceback" not in done.stderr


def test_the_service_serves_the_page_beside_its_work(program, tmp_path):
    music = make_library(tmp_path / "music")
    process = subprocess.Popen(
        program.command("watch", "--serve", "--settle", "0.2", music),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(GENRIFY_WEB__PORT="0"),
    )
    try:
        assert process.stdout is not None
        port = int(re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline())[1])
        page = Page(process, "127.0.0.1", port)
        deadline = time.monotonic() + 60
        while page.get("/api/tracks").json["total"] < 6 or not page.get("/api/service").json["service"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        told = page.get("/api/service").json["service"]
        assert ["Watches", str(music)] in told["facts"]
        done = page.post("/api/genres", {"ids": [page.track("combo first")["id"]], "genres": ["Jazz"]})
        assert done["changed"] == 1 and genres_in(music / "Combo/first.mp3") == ["Jazz"]
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert list((program.home / ".cache/genrify-tagger/page").iterdir()) == []
