"""Learning on the page, through a running server: why a genre was decided, the audit, the unsure queue."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from genrify_tagger.errors import GenrifyError
from genrify_tagger.learn.contradictions import Contradiction
from genrify_tagger.pipeline import open_session
from genrify_tagger.store import FileRecord
from genrify_tagger.web.audit_list import PER_PAGE, AuditList
from genrify_tagger.web.background_job import BackgroundJob
from genrify_tagger.web.views import audit_json
from tests.browser import until
from tests.in_process import InProcessProgram
from tests.learning import add_real_songs, fill, settings_at
from tests.page import CHANGING, PATIENCE, Page, serving
from tests.program import Program

SONGS = (
    ("Slow", "Artist 0", "", "Doom Metal"),
    ("Slower", "Artist 0", "Doom Metal", "Doom Metal"),
    ("Chatter", "Anyone", "", "Kids"),
    *((f"Wrong {n}", f"Someone {n}", "Kids", "Doom Metal") for n in range(3)),
)


@dataclass
class Made:
    """A page that has learned from its library: what it offered before, and what it said of learning."""

    program: Program
    files: list[Path]
    page: Page
    genres_before: list[str]
    contents_before: list[bytes]
    learned: dict


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    program, music = InProcessProgram(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("music")
    files = add_real_songs(program, music, SONGS)
    shutil.copy(files[3], music / "Copy of wrong 0.flac")
    program.scan(music, "--min-confidence", "1")
    fill(settings_at(program.database), noise=2.5)
    contents = [file.read_bytes() for file in files]
    with serving(program) as page:
        genres = genres_offered(page)
        yield Made(program, files, page, genres, contents, finished(page, "/api/learn"))


@pytest.fixture
def page(made) -> Page:
    return made.page


def genres_offered(page: Page) -> list[str]:
    return [genre["name"] for genre in page.get("/api/genres").json["genres"]]


def finished(page: Page, path: str) -> dict:
    """Start a job, wait for it, and return its outcome."""
    assert page.ask("POST", path, headers=CHANGING).status == 202
    deadline = time.monotonic() + PATIENCE
    while (answer := page.get(path).json)["state"] == "running":
        assert answer["step"] and time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer["state"], answer["error"]) == ("done", None)
    return answer


def test_learning_on_the_page_is_told_in_the_words_of_the_command_line_and_put_to_use(made, page):
    assert made.learned["in_use"] and "for new artists" in made.learned["summary"]
    assert made.learned["summary"] in made.program("learn").stdout
    assert len(made.genres_before) > 10 and genres_offered(page) == ["Chanson", "Doom Metal", "Kids"]
    assert page.get("/unsure").text.count("<option") == 3
    assert [file.read_bytes() for file in made.files] == made.contents_before
    assert page.ask("POST", "/api/learn").status == 403
    for words, offered in ((["--none"], len(made.genres_before)), (["mine"], 3)):
        made.program("vocabulary", "use", *words)
        assert page.get("/unsure").text.count("<option") == offered, "the page follows what is chosen elsewhere"


def test_the_page_and_the_command_line_explain_a_song_in_the_same_words(made, page):
    program, files = made.program, made.files
    song = page.get(f"/api/tracks/{page.track('Slow.flac')['id']}").json
    shown = json.loads(program("show", str(files[0]), "--format", "json").stdout)
    assert song["evidence"] == shown["evidence"]
    assert song["evidence"]["artist"] == [{"genre": "Doom Metal", "songs": 4, "of": 4}]
    assert song["explanation"].startswith("sounds like ")
    assert "; 4 of 4 other songs of the artist are Doom Metal; could be written at " in song["explanation"]
    assert song["explanation"] in program("show", str(files[0])).stdout


def test_segments_have_colours_although_the_genres_are_learned(page):
    song = page.get(f"/api/tracks/{page.track('Slow.flac')['id']}").json
    assert {score["label"] for score in song["scores"]} == {"Doom Metal", "Chanson", "Kids"}
    text = page.get("/unsure").text
    labels = json.loads(text.split("data-labels='")[1].split("'")[0])
    assert labels[:3] == [genre["label"] for genre in page.get("/api/genres").json["genres"]]
    assert {part["label"] for part in song["timeline"]} <= set(labels)


# --- the audit ---


def audited(page: Page, *, again: bool = True) -> dict:
    """Return what an audit found; `again` starts one although there is a list."""
    answer = page.get("/api/audit").json
    return answer if answer["state"] == "done" and not again else finished(page, "/api/audit")


def titles(answer: dict) -> list[str]:
    return [song["track"]["title"] for song in answer["songs"] if song["track"]["title"].startswith("Wrong")]


def test_the_audit_lists_what_the_command_line_lists_and_changes_nothing(made, page):
    program, files = made.program, made.files
    before = [file.read_bytes() for file in files]
    assert page.ask("POST", "/api/audit").status == 403
    empty = page.get("/api/audit").json
    assert (empty["state"], empty["songs"], empty["stale"]) == ("none", [], False)
    answer = audited(page)
    listed = [json.loads(line) for line in program("audit", "--format", "jsonl").stdout.splitlines()]
    assert [(song["expected"], song["log_odds"]) for song in answer["songs"]] == [
        (one["expected"], one["log_odds"]) for one in listed
    ]
    assert answer["found"] == answer["undecided"] == len(listed) and answer["pages"] == 1
    assert sorted(titles(answer)) == ["Wrong 0", "Wrong 1", "Wrong 2"]
    assert {song["expected"] for song in answer["songs"] if song["track"]["title"] in titles(answer)} == {"Doom Metal"}
    assert [file.read_bytes() for file in files] == before
    shown = page.get("/audit").text
    assert all(f">{title}</a>" in shown for title in titles(answer)) and answer["songs"][0]["odds"] in shown
    assert "no more songs on this page" in page.get("/audit?page=3").text
    assert page.ask("GET", "/audit?page=0").status == page.ask("GET", "/api/audit?page=many").status == 400


def test_what_is_accepted_or_kept_leaves_the_list_until_that_is_undone(made, page):
    files = made.files
    songs = {song["track"]["title"]: song for song in audited(page, again=False)["songs"]}
    wrong, copy, right = files[3], files[3].with_name("Copy of wrong 0.flac"), files[4]
    before = [file.read_bytes() for file in (wrong, copy, right)]
    assert len(songs["Wrong 0"]["ids"]) == 2, "of both files"
    accepted = page.post("/api/genres", {"ids": songs["Wrong 0"]["ids"], "genres": [songs["Wrong 0"]["expected"]]})
    assert accepted["changed"] == 2
    kept = page.post("/api/keep", {"ids": songs["Wrong 1"]["ids"]})
    assert (kept["changed"], kept["kept"], right.read_bytes()) == (0, 1, before[2])
    assert titles(page.get("/api/audit").json) == ["Wrong 2"]
    assert not {"Wrong 0", "Wrong 1"} & {*titles(audited(page))}
    assert page.track("Wrong 1")["reason"] == "set by hand"
    page.post(f"/api/runs/{accepted['run']}/undo")
    page.post(f"/api/runs/{kept['run']}/undo")
    assert [file.read_bytes() for file in (wrong, copy, right)] == before
    assert page.track("Wrong 1")["reason"] == "has a genre"


def test_after_a_scan_the_list_is_called_outdated(made, page):
    program, files = made.program, made.files
    program.scan(files[0].parent, "--min-confidence", "1")
    assert not audited(page)["stale"]
    program.scan(files[0].parent, "--min-confidence", "1")
    assert not page.get("/api/audit").json["stale"], "nothing has changed"
    new = files[5].with_name("New.flac")
    shutil.copy(files[5], new)
    program.scan(files[0].parent, "--min-confidence", "1")
    outdated = page.get("/api/audit").json
    assert outdated["stale"] and outdated["songs"], "the list is still shown"
    assert "was scanned since" in page.get("/audit").text


def test_a_library_that_teaches_nothing_explains_nothing_and_contradicts_nothing(command_line, tmp_path: Path):
    add_real_songs(command_line, tmp_path, SONGS[:2])
    with serving(command_line) as page:
        key = page.track("Slow.flac")["id"]
        song = page.get(f"/api/tracks/{key}").json
        assert (song["evidence"], song["explanation"]) == ({}, None)
        assert audited(page)["songs"] == []
        assert "too few songs have a genre" in page.get("/audit").text
        kept = page.post("/api/keep", {"ids": [key]})
        learned = finished(page, "/api/learn")
        assert not learned["in_use"] and learned["summary"].startswith("Not put to use: not enough examples")
        assert len(genres_offered(page)) > 10
        assert kept["failed"] == 1 and "no genre to keep" in kept["results"][0]["error"]


def test_a_long_list_has_pages(tmp_path: Path):
    options = settings_at(tmp_path / "library.db")
    paths = [f"/music/{number}.flac" for number in range(PER_PAGE + 7)]
    with open_session(options) as session:
        session.store.save_files(
            FileRecord(path=path, audio_key=path, status="kept", after=("Kids",)) for path in paths
        )
        found = tuple(Contradiction(path, path, ("Kids",), "Chanson", 3.0) for path in paths)
        audit = AuditList(found, len(found), session.store.library_version())
        pages = [audit_json(session, audit, number) for number in (1, 2, 3)]
    assert [page["pages"] for page in pages] == [2, 2, 2]
    assert [len(page["songs"]) for page in pages] == [PER_PAGE, 7, 0]
    shown = [song["track"]["name"] for page in pages for song in page["songs"]]
    assert shown == [Path(path).name for path in paths]


# --- jobs ---


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "words"), [(GenrifyError("no tree"), "no tree"), (ZeroDivisionError("secret"), "unexpected error")]
)
def test_a_job_that_fails_ends_and_can_be_started_again(error, words):
    errors = [error]
    job = BackgroundJob(lambda step: fail(errors.pop()) if errors else "found", threading.Lock())
    for state, expected in (("failed", words), ("done", None)):
        job.start()
        until(lambda: job.status.state != "running")
        assert job.status.state == state
        assert (expected or "") in (job.status.error or "") and "secret" not in (job.status.error or "")
    assert job.result == "found"


def test_jobs_take_turns_and_end_at_their_next_step_when_the_server_stops():
    turn, begun = threading.Lock(), threading.Event()

    def work(step):
        begun.set()
        while True:
            step("working")
            time.sleep(0.01)

    first, second = (BackgroundJob(work, turn) for _ in range(2))
    first.start()
    assert begun.wait(PATIENCE)
    second.start()
    assert second.status.step == "waiting for another computation"
    started = time.monotonic()
    first.close()
    until(lambda: second.status.step == "working", "its turn")
    second.close()
    assert time.monotonic() - started < 4, "nobody waited for the time limit"
    first.start()
    assert first.status.step == "working", "nothing starts any more"
