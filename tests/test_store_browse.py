"""Paging through the library finds what a plain loop over all files finds, on SQLite and PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from genrify_tagger.store import NO_GENRE, ORDERS, FileRecord, Store, TrackFilter, browse, open_store, utc_now
from tests.store_databases import BACKENDS, new_url

NOW = utc_now()
FOLDERS = ("/music/Björk/Homogenic", "/music/100% live_!", "/music/Abba", "/music/caf\udce9", "/music/back\\slash")
NAMES = {"title": "Hidden Place", "artist": "BJÖRK", "album": "100%_ \\ Vespertine"}
MANY_GENRES = (*(f"Genre {number}" for number in range(20)), "Jazz")  # longer than what an index has of them
SUFFIXES = (".mp3", ".flac", ".MP3")


def made(number: int) -> FileRecord:
    chance = random.Random(number)
    status = chance.choice(["tagged", "kept", "unsure", "failed"])
    return FileRecord(
        path=f"{chance.choice(FOLDERS)}/{number:03} Song{chance.choice(SUFFIXES)}",
        status=status,
        confidence=chance.choice([None, 0.0, 0.25, 0.5, 0.5, 1.0]),
        scores=chance.choice(
            [{}, {"a": 0.0, "b": 0.0}, {"a": 0.3, "b": 0.3, "c": 0.1}, {"a": 0.1, "b": 0.7}, {"a": 0.5}]
        ),
        duration=chance.choice([None, 60.0, 240.0]),
        after=chance.choice([(), ("Jazz",), ("Jazz", "Pop"), ('R&B "é"',), MANY_GENRES]),
        seen_at=NOW - timedelta(seconds=chance.randrange(5)),
        missing_since=NOW if chance.random() < 0.1 else None,
        **chance.choice([{}, {"title": "", "artist": "", "album": ""}, NAMES, NAMES]),
    )


FILES = [made(number) for number in range(240)]
THERE = [file for file in FILES if file.missing_since is None]


@pytest.fixture(params=["many matches", "few matches"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find pages in both ways, whatever the number of matches."""
    for name in ("MANY", "MANY_IN_FOLDER"):
        monkeypatch.setattr(browse, name, 0 if request.param == "many matches" else 10**9)


@pytest.fixture(scope="module", params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(new_url(request.param, Path(tmp_path_factory.mktemp("browse")))) as opened:
        opened.save_files(FILES)
        yield opened


def in_bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


FILTERS = {
    "all": (TrackFilter(), THERE),
    "a word, any case": (TrackFilter(words="aBBa"), [f for f in THERE if "Abba" in f.path]),
    "words in any order": (
        TrackFilter(words="SONG 11 abba"),
        [f for f in THERE if "Abba" in f.path and "11" in f.path],
    ),
    "beyond ASCII": (TrackFilter(words="BJÖRK"), [f for f in THERE if f.title or "Björk" in f.path]),
    "a title": (TrackFilter(words="place hidden"), [f for f in THERE if f.title]),
    "an artist or a path": (TrackFilter(words="björk"), [f for f in THERE if f.title or "Björk" in f.path]),
    "an album with signs": (TrackFilter(words="100%_ \\ vesp"), [f for f in THERE if f.title]),
    "names and path together": (
        TrackFilter(words="vespertine abba"),
        [f for f in THERE if f.title and "Abba" in f.path],
    ),
    "signs that LIKE knows": (TrackFilter(words="% live_!"), [f for f in THERE if "100% live_!" in f.path]),
    "a backslash": (TrackFilter(words="back\\slash"), [f for f in THERE if "back\\slash" in f.path]),
    "nothing": (TrackFilter(words="no such word"), []),
    "a genre among two": (TrackFilter(genre="Pop"), [f for f in THERE if "Pop" in f.after]),
    "a genre with signs": (TrackFilter(genre='R&B "é"'), [f for f in THERE if 'R&B "é"' in f.after]),
    "no genre": (TrackFilter(genre=NO_GENRE), [f for f in THERE if not f.after]),
    "part of a genre": (TrackFilter(genre="Jaz"), []),
    "statuses": (TrackFilter(statuses=["unsure", "failed"]), [f for f in THERE if f.status in {"unsure", "failed"}]),
    "missing": (TrackFilter(statuses=["missing"]), [f for f in FILES if f.missing_since]),
    "confidence": (
        TrackFilter(low=0.25, high=0.5),
        [f for f in THERE if f.confidence is not None and 0.25 <= f.confidence <= 0.5],
    ),
    "a folder": (TrackFilter(folder="/music/caf\udce9"), [f for f in THERE if f.path.startswith("/music/caf\udce9/")]),
    "a suffix, any case": (TrackFilter(suffixes=[".mp3"]), [f for f in THERE if f.path.lower().endswith(".mp3")]),
    "several at once": (
        TrackFilter(words="song", genre="Jazz", statuses=["tagged"], suffixes=[".flac"]),
        [f for f in THERE if "Jazz" in f.after and f.status == "tagged" and f.path.endswith(".flac")],
    ),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", FILTERS)
def test_each_filter(store, name):
    wanted, expected = FILTERS[name]
    page = store.browse(wanted, limit=1000)
    assert {file.path for file in page.files} == {file.path for file in expected}
    assert page.total == len(expected)
    assert not page.more


def margin(scores: dict[str, float]) -> float:
    best, following, *_ = [*sorted(scores.values(), reverse=True), 0.0, 0.0]
    return best - following if best else 2.0


def key_of(order: str, file: FileRecord) -> tuple[object, bytes]:
    values = {
        "path": in_bytes(file.path),
        "confidence": -1.0 if file.confidence is None else file.confidence,
        "duration": -1.0 if file.duration is None else file.duration,
        "seen": file.seen_at,
        "margin": margin(file.scores),
    }
    if order in {"title", "artist", "album"}:
        name = getattr(file, order) or "\uffff"
        return "".join(c.lower() if c.isascii() else c for c in name), in_bytes(file.path)
    return values[order], in_bytes(file.path)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", [order for order in ORDERS if order != "genre"])
def test_pages_follow_one_another_in_order_and_back_again(store, order, descending):
    expected = sorted(THERE, key=lambda file: key_of(order, file), reverse=descending)
    pages, place = [], None
    while True:
        page = store.browse(TrackFilter(), order=order, descending=descending, beyond=place, limit=37)
        pages.append([file.path for file in page.files])
        assert page.total == len(THERE)
        if not page.more:
            break
        place = page.files[-1].path
    assert [path for page in pages for path in page] == [file.path for file in expected]
    for number in range(len(pages) - 1, 0, -1):
        page = store.browse(
            TrackFilter(), order=order, descending=descending, beyond=pages[number][0], backwards=True, limit=37
        )
        assert [file.path for file in page.files] == pages[number - 1]
        assert page.more == (number > 1)


@pytest.mark.usefixtures("way")
def test_files_of_one_genre_stand_together(store):
    page = store.browse(TrackFilter(), order="genre", limit=1000)
    runs = [
        genres for i, genres in enumerate(f.after for f in page.files) if not i or page.files[i - 1].after != genres
    ]
    assert len(runs) == len(set(runs)) == 5


@pytest.mark.usefixtures("way")
def test_paging_from_a_deleted_file_begins_at_the_start(store):
    page = store.browse(TrackFilter(), beyond="/music/never was", limit=5)
    assert page.files == store.browse(TrackFilter(), limit=5).files


def test_the_overview_counts_what_is_there(store):
    found = store.overview()
    assert found.genres["Jazz"] == sum("Jazz" in file.after for file in THERE)
    assert found.genres[NO_GENRE] == sum(not file.after for file in THERE)
    assert list(found.genres.values()) == sorted(found.genres.values(), reverse=True)
    for status in ("tagged", "kept", "unsure", "failed"):
        sure = [file.confidence for file in THERE if file.status == status and file.confidence is not None]
        steps = found.confidence[status]
        assert sum(steps) == len(sure)
        assert (steps[0], steps[5], steps[-1]) == (sure.count(0.0), sure.count(0.25), sure.count(1.0))


def test_runs_and_days_of_changes(store):
    idle = store.start_run("scan")
    runs = []
    for origin in ("scan", "set"):
        run = store.start_run("web", ["set"])
        runs.append(run)
        for name in ("a", "b"):
            change = store.begin_change(
                run=run, path=f"/music/{name}", field="genre", before=None, after=b"x", origin=origin
            )
            store.finish_change(change, "done")
    undoing = store.begin_change(
        run=runs[1], path="/music/a", field="genre", before=b"x", after=None, origin="undo", undoes=1
    )
    store.finish_change(undoing, "done")
    found = store.changing_runs()
    assert [(record.id, made, undone) for record, made, undone in found] == [(runs[1], 3, 0), (runs[0], 2, 1)]
    assert idle not in {record.id for record, _, _ in found}
    assert store.changing_runs(before=runs[1]) == found[1:]
    assert store.change_counts(runs[0]) == (2, 1)
    assert store.change_counts(idle) == (0, 0)
    assert store.changes_by_day(NOW - timedelta(days=1)) == {
        utc_now().date().isoformat(): {"scan": 2, "set": 2, "undo": 1}
    }
    assert store.changes_by_day(NOW + timedelta(days=1)) == {}
    assert [change.id for change in store.changes(before=undoing, limit=2)] == [undoing - 1, undoing - 2]


@pytest.mark.parametrize("words", [("Jazz",), ("Pop", 'R&B "é"'), ("Polka",), ()])
def test_the_files_with_any_of_some_genres(store, words):
    expected = [file.path for file in THERE if set(words) & set(file.after)]
    assert store.paths_with_genres(words) == sorted(expected, key=in_bytes)


def test_sqlite_searches_for_words_in_the_files_as_they_lie(tmp_path: Path) -> None:
    """Through an index, it would read each file from another place: three times as long for a million."""
    plans = []

    def explain(connection, _cursor, statement, values, *_: object) -> None:
        if statement.startswith("WITH"):
            plans.extend(connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values))

    with open_store(new_url("sqlite", tmp_path)) as store:
        store.save_files(FILES)
        event.listen(store._engine, "before_cursor_execute", explain)
        assert store.browse(TrackFilter(words="song hidden"), order="title").total
    assert "SCAN files" in [plan[3] for plan in plans]
