"""Several writers on one database: none fails, and each sees what the others have written, on both engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genrify_tagger.errors import StoreError
from genrify_tagger.store import FileRecord, Move, Store, open_store
from tests.store_databases import BACKENDS, new_url

ROUNDS = 30
PATHS = [f"/music/{number:03}.mp3" for number in range(60)]


@pytest.fixture(params=BACKENDS)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two stores on one database, as two programs have."""
    url = new_url(request.param, tmp_path)
    with open_store(url) as one, open_store(url) as other:
        yield one, other


def together(*tasks: Callable[[int], object]) -> None:
    """Run tasks at the same time, round by round, and raise the first error."""
    start = threading.Barrier(len(tasks))
    errors: list[Exception] = []

    def run(task: Callable[[int], object]) -> None:
        for number in range(ROUNDS):
            start.wait()
            try:
                task(number)
            except StoreError as error:
                errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def records(paths: list[str], status: str) -> list[FileRecord]:
    return [FileRecord(path=path, status=status, audio_key="song") for path in paths]


def test_the_same_files_in_opposite_order(two: tuple[Store, Store]) -> None:
    one, other = two
    together(
        lambda _: one.save_files(records(PATHS, "tagged")),
        lambda _: other.save_files(records(PATHS[::-1], "unsure")),
        lambda _: other.mark_missing(PATHS[::-1]),
        lambda _: one.mark_found(PATHS),
    )
    assert sum(one.counts().values()) == len(PATHS)


def test_a_song_is_moved_where_another_scan_has_just_found_it(two: tuple[Store, Store]) -> None:
    one, other = two
    for number in range(ROUNDS):
        one.save_files(records([f"/old/{number}"], "kept"))
    together(
        lambda number: one.move_songs([Move(f"/old/{number}", f"/new/{number}", "song")]),
        lambda number: other.save_files(records([f"/new/{number}"], "tagged")),
    )
    assert sorted(one.paths_under()) == sorted(f"/new/{number}" for number in range(ROUNDS))


def test_mount_points_are_remembered_once(two: tuple[Store, Store]) -> None:
    together(*(lambda number, store=store: store.remember_mounts([f"/mnt/{number}", "/mnt"]) for store in two))
    assert len(two[0].known_mounts()) == ROUNDS + 1


def test_one_vocabulary_is_in_use(two: tuple[Store, Store]) -> None:
    one, other = two
    in_use: list[int] = []

    def look(_: int) -> None:
        in_use.append(sum(vocabulary.in_use for vocabulary in one.vocabularies()))

    together(
        lambda number: one.save_vocabulary(f"a{number}", b"1", in_use=True),
        lambda number: other.save_vocabulary(f"b{number}", b"2", in_use=True),
        look,
    )
    assert max(in_use) == 1
    assert sum(vocabulary.in_use for vocabulary in one.vocabularies()) == 1


def test_undos_of_one_change_and_a_move(two: tuple[Store, Store]) -> None:
    one, other = two
    run = one.start_run("scan")
    change = {"run": run, "path": "/a", "field": "genre", "before": None, "after": b"Jazz", "audio_key": "song"}
    first = one.begin_change(**change, origin="scan")
    one.finish_change(first, "done")

    def undo(store: Store) -> None:
        begun = store.begin_change(**change, origin="undo", undoes=first)
        store.finish_change(begun, "done")

    together(
        lambda _: undo(one),
        lambda _: undo(other),
        lambda number: one.move_songs([Move(*(("/a", "/b") if number % 2 else ("/b", "/a")), "song")]),
    )
    undoing = one.change(one.change(first).undone_by)
    assert undoing.undoes == first
    assert len(list(one.changes())) == 2 * ROUNDS + 1


def test_a_reader_sees_one_state(two: tuple[Store, Store]) -> None:
    one, other = two
    one.save_files(records(["/0"], "tagged"))
    found: list[int] = []

    def read(_: int) -> None:
        found.append(len(other.locations("song")))

    together(lambda number: one.move_songs([Move(f"/{number}", f"/{number + 1}", "song")]), read)
    assert set(found) == {1}
