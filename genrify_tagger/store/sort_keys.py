"""What the library is sorted by, and an index for each order; and those that tell how many files there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import ColumnElement, Index, Text, cast, collate, func, text, type_coerce

from genrify_tagger.store.tables import FILES

Order = Literal["path", "title", "artist", "album", "confidence", "margin", "genre", "duration", "seen"]
ORDERS: tuple[Order, ...] = ("path", "title", "artist", "album", "confidence", "margin", "genre", "duration", "seen")
KEY_LENGTH = 200  # characters of a text
UNNAMED = text("'\uffff'")  # sorts unknown titles, artists and albums after all others
UNKNOWN = text("-1.0")  # sorts unknown numbers before all others
NO_MARGIN = text("2.0")  # sorts songs without scores, and silence, after all others
PRESENT = FILES.c.missing_since.is_(None)
AFTER = cast(FILES.c.after, Text)  # PostgreSQL cannot compare JSON

_DIALECTS = ("sqlite", "postgresql")


def _name_key(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Return names in an order that is the same on every database: by code points, ASCII in lower case."""
    name = func.coalesce(func.nullif(column, text("''")), UNNAMED)
    return _beginning(func.lower(name if dialect == "sqlite" else collate(name, "C")))


def _beginning(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the beginning of a text: PostgreSQL refuses to index a long one, which a hostile file may have."""
    return func.substr(value, text("1"), text(f"{KEY_LENGTH}"))


def _indexed(dialect: str) -> dict[str, ColumnElement[Any]]:
    return {
        **{name: _name_key(FILES.c[name], dialect) for name in ("title", "artist", "album")},
        **{name: func.coalesce(FILES.c[name], UNKNOWN) for name in ("confidence", "duration")},
        "margin": func.coalesce(FILES.c.margin, NO_MARGIN),
        "seen": FILES.c.seen_at,
        "genre": type_coerce(FILES.c.after, Text) if dialect == "sqlite" else _beginning(AFTER),
    }


#: By dialect and order, the keys that have an index; SQLite uses it only if the query has their very expression.
INDEXED: Mapping[str, Mapping[str, ColumnElement[Any]]] = {dialect: _indexed(dialect) for dialect in _DIALECTS}

for _dialect, _keys in INDEXED.items():
    for _order, _key in _keys.items():
        # Only their path orders the many files of a genre; but PostgreSQL may refuse to index a path, see above.
        _more = (FILES.c.path,) if (_dialect, _order) == ("sqlite", "genre") else ()
        # With what most filters ask for, files that do not match can be passed over without reading their rows.
        _columns = (_key, *_more, FILES.c.status, FILES.c.missing_since)
        # PostgreSQL takes a value from an index alone only if its plain column is there.
        _plain = [_order] if (_dialect, _order) == ("postgresql", "confidence") else None
        _index = Index(
            f"ix_files_by_{_order}",
            *_columns,
            sqlite_where=PRESENT,
            postgresql_where=PRESENT,
            postgresql_include=_plain,
        )
        _index.ddl_if(dialect=_dialect)
Index("ix_files_status_missing_since_audio_key", FILES.c.status, FILES.c.missing_since, FILES.c.audio_key)
Index("ix_files_missing", FILES.c.path, sqlite_where=~PRESENT, postgresql_where=~PRESENT)
