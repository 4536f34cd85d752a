"""Browse a large library in filtered and sorted pages.

Each page reads the whole table once: the matching paths go into a temporary table, which gives both their number and
the page. No index serves every filter and order, and every scan would have to update each of them.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Double,
    LargeBinary,
    Select,
    Text,
    and_,
    cast,
    collate,
    func,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
)

from genrify_tagger.store.file_rows import PRESENT, STATUS, Files
from genrify_tagger.store.records import FileRecord
from genrify_tagger.store.sql import below
from genrify_tagger.store.tables import FILES

Order = Literal["path", "title", "artist", "album", "confidence", "margin", "genre", "duration", "seen"]
ORDERS: tuple[Order, ...] = ("path", "title", "artist", "album", "confidence", "margin", "genre", "duration", "seen")
NO_GENRE = ""  # selects files without a genre in `TrackFilter.genre`
UNNAMED = "\uffff"  # sorts unknown titles, artists and albums after all others
UNKNOWN = -1.0  # sorts unknown numbers before all others
NO_MARGIN = 2.0  # sorts songs without scores, and silence, after all others
AFTER = cast(FILES.c.after, Text)  # PostgreSQL cannot compare JSON
NAMES = type_coerce(FILES.c.title + "\n" + FILES.c.artist + "\n" + FILES.c.album, Text)


@dataclass(frozen=True, kw_only=True)
class TrackFilter:
    """Conditions on files; those left at their default do not apply.

    Attributes
    ----------
    words : str
        Words that must all occur in the path, the title, the artist or the album, in any case.
    genre : str or None
        A genre in the file, as written; "" for files without one.
    statuses : sequence of str
        Any of these; "missing" selects files that no longer exist, which are left out otherwise.
    low, high : float or None
        Bounds of the confidence, both included.
    folder : str or None
        An absolute path: this file, or files below this folder.
    suffixes : sequence of str
        Any of these name suffixes (".mp3").
    one_per_song : bool
        Of several files with the same audio, only the first one by path.
    """

    words: str = ""
    genre: str | None = None
    statuses: Sequence[str] = ()
    low: float | None = None
    high: float | None = None
    folder: str | None = None
    suffixes: Sequence[str] = ()
    one_per_song: bool = False


@dataclass(frozen=True)
class ResultPage:
    """One page of files, the number of all matches, and whether more follow in the requested direction."""

    total: int
    files: list[FileRecord]
    more: bool


class Browse(Files):
    """Pages of the library."""

    def browse(
        self,
        wanted: TrackFilter,
        *,
        order: Order = "path",
        descending: bool = False,
        beyond: str | None = None,
        backwards: bool = False,
        limit: int = 50,
    ) -> ResultPage:
        """Return one page of the files that match, and how many match in all.

        Parameters
        ----------
        wanted : TrackFilter
        order : str
            One of `ORDERS`; ties are ordered by path. The margin is by how much the likeliest label's score is above
            the next one's: a song with a small one tells most when its genre becomes known (Scheffer et al., "Active
            hidden Markov models for information extraction", 2001).
        descending : bool
        beyond : str or None
            The path after which the page begins; None for the first page. All pages cost the same.
        backwards : bool
            Whether the page ends before `beyond` instead of beginning after it.
        limit : int
        """
        key = self._sort_key(order)
        matches = select(FILES.c.path, key.label("key")).where(self._condition(wanted))
        hits = (_first_of_each_song(matches) if wanted.one_per_song else matches).cte("hits")
        if self.is_sqlite:
            hits = hits.prefix_with("MATERIALIZED")
        falling = descending != backwards
        ranks = [column.desc() if falling else column.asc() for column in (hits.c.key, hits.c.path)]
        total = select(func.count()).select_from(hits)
        query = select(hits.c.path, total.scalar_subquery()).order_by(*ranks).limit(limit + 1)
        query = query.where(self._beyond(beyond, order, hits.c.key, hits.c.path, falling=falling))
        with self.read() as connection:
            rows = connection.execute(query).all()
            found = rows[0][1] if rows else connection.execute(total).scalar_one() if beyond else 0
        records = self.files(row[0] for row in rows[:limit])
        page = [records[row[0]] for row in rows[:limit] if row[0] in records]
        return ResultPage(found, page[::-1] if backwards else page, more=len(rows) > limit)

    def _beyond(
        self, path: str | None, order: Order, keys: ColumnElement[Any], paths: ColumnElement[Any], *, falling: bool
    ) -> ColumnElement[bool]:
        """Return the condition for files after the one at `path`."""
        if path is None or path not in self.sightings([path]):
            return true()
        here = select(self._sort_key(order)).where(FILES.c.path == path).scalar_subquery()
        if falling:
            return or_(keys < here, and_(keys == here, paths < path))
        return or_(keys > here, and_(keys == here, paths > path))

    def files_of_songs(self, audio_keys: Sequence[str]) -> list[FileRecord]:
        """Return the existing files with any of these audio keys."""
        return self._records(and_(FILES.c.audio_key.in_(audio_keys), PRESENT))

    def _condition(self, wanted: TrackFilter) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = [STATUS.in_(sorted(wanted.statuses)) if wanted.statuses else PRESENT]
        conditions += [self._is_called(word) for word in wanted.words.split()]
        if wanted.genre is not None:
            conditions.append(self._has_genre(wanted.genre))
        if wanted.low is not None:
            conditions.append(FILES.c.confidence >= wanted.low)
        if wanted.high is not None:
            conditions.append(FILES.c.confidence <= wanted.high)
        if wanted.folder is not None:
            conditions.append(or_(FILES.c.path == wanted.folder, below(FILES.c.path, wanted.folder)))
        if wanted.suffixes:
            conditions.append(or_(*(self._path_is_like("", suffix) for suffix in wanted.suffixes)))
        return and_(*conditions)

    def _is_called(self, word: str) -> ColumnElement[bool]:
        in_any_form = or_(*(self._occurs(form) for form in _spellings(word)))
        part = _plain_part(word)
        # The part with only one spelling rules out most files.
        return and_(self._occurs(part), in_any_form) if part and not word.isascii() else in_any_form

    def _occurs(self, text: str) -> ColumnElement[bool]:
        return or_(self._path_is_like("", text, ""), NAMES.ilike(f"%{_escaped(text)}%", escape="!"))

    def _path_is_like(self, *parts: str) -> ColumnElement[bool]:
        """Return the condition that a path contains these parts in this order; a-z match in either case.

        PostgreSQL cannot match bytes: both sides are compared with bytes beyond ASCII as octal numbers.
        """
        if self.is_sqlite:
            text = cast(type_coerce(FILES.c.path, LargeBinary), Text)
            return text.like("%".join(_escaped(part) for part in parts), escape="!")
        shown = type_coerce(func.encode(FILES.c.path, literal_column("'escape'")), Text)
        return shown.ilike("%".join(_escaped(_octal(part)) for part in parts), escape="!")

    def _sort_key(self, order: Order) -> ColumnElement[Any]:
        keys: dict[str, ColumnElement[Any]] = {
            "path": FILES.c.path,
            "title": self._name_key(FILES.c.title),
            "artist": self._name_key(FILES.c.artist),
            "album": self._name_key(FILES.c.album),
            "confidence": func.coalesce(FILES.c.confidence, UNKNOWN),
            "margin": self._margin(),
            "duration": func.coalesce(FILES.c.duration, UNKNOWN),
            "genre": AFTER,
            "seen": FILES.c.seen_at,
        }
        return keys[order]

    def _margin(self) -> ColumnElement[Any]:
        """Return by how much the highest score is above the next one."""
        read = func.json_each if self.is_sqlite else func.json_each_text
        value = cast(read(FILES.c.scores).table_valued("value").c.value, Double)
        ranked = select(value).order_by(value.desc()).correlate(FILES).limit(1)
        best, next_best = ranked.scalar_subquery(), ranked.offset(1).scalar_subquery()
        return func.coalesce(func.nullif(best, 0.0) - func.coalesce(next_best, 0.0), NO_MARGIN)

    def _name_key(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return names in an order that is the same on every database: by code points, ASCII in lower case."""
        name = func.coalesce(func.nullif(column, ""), UNNAMED)
        return func.lower(name if self.is_sqlite else collate(name, "C"))

    def _has_genre(self, genre: str) -> ColumnElement[bool]:
        if genre == NO_GENRE:
            return AFTER == "[]"
        find = func.instr if self.is_sqlite else func.strpos
        return find(AFTER, json.dumps(genre)) > 0


def _first_of_each_song(matches: Select[Any]) -> Select[Any]:
    """Return the files without a copy at a path that sorts before theirs."""
    copy = func.row_number().over(partition_by=FILES.c.audio_key, order_by=FILES.c.path)
    ranked = matches.add_columns(FILES.c.audio_key, copy.label("copy")).subquery()
    return select(ranked.c.path, ranked.c.key).where(or_(ranked.c.copy == 1, ranked.c.audio_key.is_(None)))


def _spellings(word: str) -> set[str]:
    """Return the spellings of a word to search for: databases fold the case of ASCII letters only."""
    if word.isascii():
        return {word}
    cases = {word, word.lower(), word.upper(), word.capitalize()}
    return {unicodedata.normalize(form, case) for form in ("NFC", "NFD") for case in cases}


def _plain_part(word: str) -> str:
    """Return the longest part of a word that is ASCII, whichever way its accents are composed."""
    parts = re.findall(r"[ -~]+", unicodedata.normalize("NFC", word))
    return max(parts, key=len, default="")


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _octal(text: str) -> str:
    r"""Return text as PostgreSQL's encode(..., 'escape') shows its bytes."""
    return "".join(
        r"\\" if byte == 0x5C else chr(byte) if 0 < byte < 128 else f"\\{byte:03o}" for byte in os.fsencode(text)
    )
