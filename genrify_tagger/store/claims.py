"""Which process is working on which file: claims that every host of a shared database sees.

A claim holds as long as its process gives signs of life (`beat`). On the same host a killed process is noticed at once;
one on another host loses its claims after `LEASE` of silence. Times are those of the database server, so that the
hosts' clocks need not agree.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, text

from genrify_tagger.process_identity import host_of, is_gone
from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.records import utc_now
from genrify_tagger.store.sql import PAGE, in_batches, upsert
from genrify_tagger.store.tables import CLAIMS, PROCESSES

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BEAT_SECONDS = 8.0
_FORGOTTEN = timedelta(days=1)  # after which a silent process is no longer listed


class Claims(Database):
    """The claims and processes tables."""

    @repeatable
    def claim_files(self, owner: str, paths: Collection[str]) -> set[str]:
        """Claim files and return those that are now `owner`'s: all but those that a living process has claimed.

        Parameters
        ----------
        owner : str
            The return value of `process_identity.this_process`.
        paths : collection of str
            Real paths.
        """
        granted: set[str] = set()
        for batch in in_batches(paths, PAGE):
            with self.write(durable=True) as connection:  # or a server that crashes would forget who works on what
                now = server_time(connection)
                _see(connection, owner, now)
                taken = _taken(connection, owner, batch, now)
                granted |= _insert(connection, owner, [path for path in batch if path not in taken])
        return granted

    @repeatable
    def release_files(self, owner: str, paths: Collection[str]) -> None:
        """Give up claims."""
        for batch in in_batches(paths):
            with self.write(shared=True) as connection:
                connection.execute(delete(CLAIMS).where(CLAIMS.c.path.in_(batch), CLAIMS.c.owner == owner))

    @repeatable
    def beat(self, owner: str) -> None:
        """Record a sign of life, which keeps all claims of a process, also while another one blocks all writes."""
        with self.write(queued=False) as connection:
            _see(connection, owner, server_time(connection))

    @repeatable
    def forget_process(self, owner: str) -> None:
        """Give up all claims of a process that ends, and forget those that ended long ago without saying so."""
        with self.write() as connection:
            connection.execute(delete(CLAIMS).where(CLAIMS.c.owner == owner))
            long_ago = server_time(connection) - _FORGOTTEN
            connection.execute(delete(PROCESSES).where((PROCESSES.c.owner == owner) | (PROCESSES.c.seen_at < long_ago)))


def server_time(connection: Connection) -> datetime:
    """Return the time by the database server's clock; SQLite has this host's."""
    if connection.dialect.name == "sqlite":
        return utc_now()
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def _see(connection: Connection, owner: str, now: datetime) -> None:
    connection.execute(upsert(connection, PROCESSES), {"owner": owner, "seen_at": now})


def _taken(connection: Connection, owner: str, paths: list[str], now: datetime) -> set[str]:
    """Return the paths that others have claimed, after deleting the claims of processes that have ended."""
    query = (
        select(CLAIMS.c.path, CLAIMS.c.owner, PROCESSES.c.seen_at)
        .outerjoin(PROCESSES, CLAIMS.c.owner == PROCESSES.c.owner)
        .where(CLAIMS.c.path.in_(paths))
    )
    claims = [(path, holder, seen) for path, holder, seen in connection.execute(query)]
    gone = {
        path: holder
        for path, holder, seen in claims
        if holder != owner and (seen is None or is_gone(holder, seen, limit=LEASE, now=now))
    }
    if gone:
        connection.execute(delete(CLAIMS).where(CLAIMS.c.path.in_(gone)))
        for host, files in Counter(map(host_of, gone.values())).items():
            log.info("taking over %d files that a process on %s had begun and not finished", files, host)
    return {path for path, holder, _ in claims if holder != owner and path not in gone}


def _insert(connection: Connection, owner: str, paths: list[str]) -> set[str]:
    if paths:
        connection.execute(upsert(connection, CLAIMS), [{"path": path, "owner": owner} for path in paths])
    return set(paths)
