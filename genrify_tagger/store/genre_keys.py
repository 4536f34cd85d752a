"""The different genres in a library, from PostgreSQL's index of them."""

from __future__ import annotations

from sqlalchemy import Connection, text

from genrify_tagger.store.sort_keys import KEY_LENGTH

_KEY = f"substr(CAST(after AS TEXT), 1, {KEY_LENGTH})"
# From one to the next: to find the different ones, PostgreSQL would read all of the index.
_NEXT = f"SELECT {_KEY} FROM files WHERE missing_since IS NULL AND {_KEY} > key ORDER BY 1 LIMIT 1"
_KEYS = text(
    f"WITH RECURSIVE keys AS ((SELECT {_KEY} AS key FROM files WHERE missing_since IS NULL ORDER BY 1 LIMIT 1) "
    f"UNION ALL SELECT ({_NEXT}) FROM keys WHERE key IS NOT NULL) "
    f"SELECT key FROM keys WHERE key IS NOT NULL LIMIT :most"
)


def genre_keys(connection: Connection, *, most: int) -> list[str] | None:
    """Return what different genres existing files have, as sorted by: in JSON, cut; None if they are too many."""
    found = list(connection.execute(_KEYS, {"most": most}).scalars())
    return found if len(found) < most else None
