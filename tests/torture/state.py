"""What must hold after the next start, whatever happened before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from genrify_tagger import tags
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.store import ChangeRecord, Store, open_store
from genrify_tagger.tags.model import same_pieces
from tests.torture.songs import Song


def fresh_database(path: Path) -> str:
    """Make an empty database, copied from one made once."""
    made = path.with_name("empty.db")
    if not made.exists():
        open_store(str(made)).close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(made, path)
    return str(path)


def start_again(database: str) -> None:
    """Do what every start of the program does first."""
    with open_store(database) as store:
        reconcile(store)


def pending(database: str) -> int:
    with open_store(database) as store:
        return len(store.pending_changes(abandoned=False))


def strays(folder: Path) -> list[str]:
    """Return all temporary files left in a folder; songs' own names never begin with a dot."""
    return sorted(str(path) for path in folder.rglob(".*"))


def last_change(store: Store, path: Path) -> ChangeRecord | None:
    return next((change for change in store.changes(path=os.path.realpath(path)) if change.state == "done"), None)


def check_journal(database: str, songs: Iterable[Song]) -> int:
    """Compare the journal's last entry for each song with the file; return how many have the new genre."""
    written = 0
    with open_store(database) as store:
        assert store.pending_changes(abandoned=False) == []
        for song in songs:
            change = last_change(store, song.path)
            old = song.is_old()
            written += not old
            if change is None:
                assert old, song.path
            else:
                assert same_pieces(tags.read(str(song.path)).raw, change.after), song.path
    return written


def check_all(database: str, folder: Path, songs: Sequence[Song]) -> int:
    """Everything that must hold after the next start; return how many songs have the new genre."""
    written = check_journal(database, songs)
    assert strays(folder) == []
    return written
