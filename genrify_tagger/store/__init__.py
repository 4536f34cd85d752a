"""The database: files, analyses, runs and the journal of changes, in SQLite or PostgreSQL.

Paths are `str` from `os.fsdecode` and are stored as bytes; times are aware and in UTC. Several threads may share a
store, and several processes a database. Every error is a `StoreError`.
"""

from __future__ import annotations

import os
from types import TracebackType

from genrify_tagger.errors import StoreError
from genrify_tagger.store.advisory_lock import advisory_lock
from genrify_tagger.store.analyses import Analyses, StoredSound, as_stored
from genrify_tagger.store.browse import (
    NO_GENRE,
    ORDERS,
    Browse,
    Order,
    ResultPage,
    TrackFilter,
)
from genrify_tagger.store.changes_in_progress import ChangeInProgressError
from genrify_tagger.store.claims import BEAT_SECONDS, LEASE, Claims
from genrify_tagger.store.connect import create_folder, database_file, database_name, parse_url, url_without_password
from genrify_tagger.store.journal import Journal
from genrify_tagger.store.maintenance import Maintenance, check
from genrify_tagger.store.migrate import bring_up_to_date
from genrify_tagger.store.records import (
    DONE,
    FAILED,
    MISSING,
    PENDING,
    ChangeRecord,
    FileRecord,
    GenreRow,
    ObservedTag,
    RunRecord,
    Sighting,
    utc_now,
)
from genrify_tagger.store.relocations import Location, Move, Moves
from genrify_tagger.store.runs import INTERRUPTED, RUNNING, Runs
from genrify_tagger.store.statistics import BINS, Overview, RunKind, Statistics
from genrify_tagger.store.vocabularies import StoredVocabulary, Vocabularies

__all__ = [
    "BEAT_SECONDS",
    "BINS",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "LEASE",
    "MISSING",
    "NO_GENRE",
    "ORDERS",
    "PENDING",
    "RUNNING",
    "ChangeInProgressError",
    "ChangeRecord",
    "FileRecord",
    "GenreRow",
    "Location",
    "Move",
    "ObservedTag",
    "Order",
    "Overview",
    "ResultPage",
    "RunKind",
    "RunRecord",
    "Sighting",
    "Store",
    "StoredSound",
    "StoredVocabulary",
    "TrackFilter",
    "advisory_lock",
    "as_stored",
    "check",
    "database_file",
    "database_name",
    "open_store",
    "url_without_password",
    "utc_now",
]


class Store(Browse, Statistics, Analyses, Runs, Journal, Claims, Moves, Vocabularies, Maintenance):
    """An open database, from `open_store`; leaving the `with` block closes it."""

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, *, create: bool = True) -> Store:
    """Open a database; create or migrate its tables where needed.

    Parameters
    ----------
    url : str
        "sqlite:////folder/file.db", "/folder/file.db" or "postgresql://user@host/name".
    create : bool
        Whether to create an SQLite file that does not exist; otherwise that is an error.

    Raises
    ------
    StoreNewerError
        If a newer version of the program wrote it.
    StoreCorruptError
        If it is damaged or not a database.
    StoreError
        If it cannot be used for another reason.
    """
    parsed_url = parse_url(url)
    if parsed_url.get_backend_name() == "sqlite":
        file = str(parsed_url.database)
        if not create and not os.path.exists(file):
            raise StoreError("there is no database", path=file, hint="`genrify-tag scan ~/Music` creates one")
        create_folder(file)
    store = Store(parsed_url)
    try:
        store.choose_journal_mode()
        bring_up_to_date(store)
    except BaseException:
        store.close()
        raise
    return store
