"""Browse a large library in filtered and sorted pages.

Of many matches, a page is found by walking through the index of the order, which soon meets enough of them. Of few, or
if words are searched for, the table is read once: the matching paths go into a temporary table, which gives both their
number and the page.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Text,
    and_,
    case,
    cast,
    collate,
    distinct,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.sql.util import ClauseAdapter

from genrify_tagger.store.file_rows import STATUS, Files
from genrify_tagger.store.genre_keys import genre_keys
from genrify_tagger.store.records import MISSING, FileRecord
from genrify_tagger.store.sort_keys import AFTER, INDEXED, KEY_LENGTH, ORDERS, PRESENT, Order
from genrify_tagger.store.sql import below
from genrify_tagger.store.tables import FILES

__all__ = ["NO_GENRE", "ORDERS", "Browse", "Order", "ResultPage", "TrackFilter"]

NO_GENRE = ""  # selects files without a genre in `TrackFilter.genre`
NAMES = type_coerce(FILES.c.title + "\n" + FILES.c.artist + "\n" + FILES.c.album, Text)
MANY = 1000  # matches from which on a page is found by walking through an index
MANY_IN_FOLDER = 50_000  # the same of a folder, whose files another index finds


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
        condition = self._condition(wanted)
        is_walked = not wanted.words and MISSING not in wanted.statuses
        falling = descending != backwards
        with self.read() as connection:
            number = self._number(connection, wanted, condition) if is_walked else 0
            place = self._place(connection, beyond, order)
            if is_walked and number >= (MANY if wanted.folder is None else MANY_IN_FOLDER):
                rows = connection.execute(self._walk(wanted, condition, order, place, falling).limit(limit + 1)).all()
            else:
                hits = self._hits(wanted, condition, order)
                total = select(func.count()).select_from(hits)
                query = select(hits.c.path, total.scalar_subquery()).limit(limit + 1)
                rows = connection.execute(_ranked(query, hits.c.key, hits.c.path, place, falling)).all()
                number = rows[0][1] if rows else connection.execute(total).scalar_one() if beyond else 0
        records = self.files(row[0] for row in rows[:limit])
        page = [records[row[0]] for row in rows[:limit] if row[0] in records]
        return ResultPage(number, page[::-1] if backwards else page, more=len(rows) > limit)

    def _place(self, connection: Connection, path: str | None, order: Order) -> tuple[Any, str] | None:
        """Return sort key and path of the file at `path`, None if there is none."""
        if path is None:
            return None
        row = connection.execute(select(self._sort_key(order)).where(FILES.c.path == path)).first()
        return None if row is None else (row[0], path)

    def _walk(
        self,
        wanted: TrackFilter,
        condition: ColumnElement[bool],
        order: Order,
        place: tuple[Any, str] | None,
        falling: bool,
    ) -> Select[Any]:
        """Return the query for files that match, through the index of the order."""
        query = select(FILES.c.path).where(condition)
        if self.is_sqlite and not (order == "path" and wanted.folder is not None):
            # Hidden in a case, since SQLite would choose an index that finds the matches, and sort all of them.
            query = select(FILES.c.path).where(PRESENT, case((condition, 1), else_=0) == 1)
        if wanted.one_per_song:
            copy = FILES.alias("copy")
            is_earlier = and_(copy.c.audio_key == FILES.c.audio_key, copy.c.path < FILES.c.path)
            query = query.where(~exists().where(is_earlier, ClauseAdapter(copy).traverse(condition)))
        return _ranked(query, self._sort_key(order), FILES.c.path, place, falling)

    def _hits(self, wanted: TrackFilter, condition: ColumnElement[bool], order: Order) -> CTE:
        """Return paths and sort keys of all files that match."""
        matches = select(FILES.c.path, self._sort_key(order).label("key")).where(condition)
        hits = (_first_of_each_song(matches) if wanted.one_per_song else matches).cte("hits")
        return hits.prefix_with("MATERIALIZED") if self.is_sqlite else hits

    def files_of_songs(self, audio_keys: Sequence[str]) -> list[FileRecord]:
        """Return the existing files with any of these audio keys."""
        return self._records(and_(FILES.c.audio_key.in_(audio_keys), PRESENT))

    def _condition(self, wanted: TrackFilter) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = []
        if MISSING in wanted.statuses:
            conditions.append(STATUS.in_(sorted(wanted.statuses)))
        elif wanted.words and wanted == TrackFilter(words=wanted.words, one_per_song=wanted.one_per_song):
            # Not PRESENT, which has SQLite read every row through an index of existing files: each from another place.
            conditions.append(STATUS != MISSING)
        else:
            conditions += [PRESENT, *([FILES.c.status.in_(sorted(wanted.statuses))] if wanted.statuses else [])]
        conditions += [self._is_called(word) for word in wanted.words.split()]
        if wanted.genre is not None:
            conditions.append(self._has_genre(wanted.genre))
        if wanted.low is not None or wanted.high is not None:
            conditions.append(self._sort_key("confidence") >= (wanted.low or 0.0))
        if wanted.high is not None:
            conditions.append(self._sort_key("confidence") <= wanted.high)
        if wanted.folder is not None:
            conditions.append(or_(FILES.c.path == wanted.folder, below(FILES.c.path, wanted.folder)))
        if wanted.suffixes:
            conditions.append(or_(*(self._path_is_like("", suffix) for suffix in wanted.suffixes)))
        return and_(*conditions)

    def _number(self, connection: Connection, wanted: TrackFilter, condition: ColumnElement[bool]) -> int:
        """Return how many files match; on a server, a genre is looked up in the index of genres."""
        keys = None if self.is_sqlite or wanted.genre is None else genre_keys(connection, most=MANY)
        if keys is not None:
            is_cut = any(len(key) == KEY_LENGTH for key in keys)
            others = condition if is_cut else self._condition(replace(wanted, genre=None))
            found = [key for key in keys if len(key) == KEY_LENGTH or _has_written(key, wanted.genre or NO_GENRE)]
            condition = and_(others, self._sort_key("genre").in_(found))
        return int(connection.execute(_count(condition, wanted)).scalar_one())

    def _is_called(self, word: str) -> ColumnElement[bool]:
        in_any_form = or_(*(self._occurs(form) for form in _spellings(word)))
        part = _plain_part(word)
        # The part with only one spelling rules out most files.
        return and_(self._occurs(part), in_any_form) if part and not word.isascii() else in_any_form

    def _occurs(self, text: str) -> ColumnElement[bool]:
        names = NAMES if self.is_sqlite else collate(NAMES, "C")  # as SQLite compares, and faster
        return or_(self._path_is_like("", text, ""), names.ilike(f"%{_escaped(text)}%", escape="!"))

    def _path_is_like(self, *parts: str) -> ColumnElement[bool]:
        """Return the condition that a path contains these parts in this order; a-z match in either case.

        PostgreSQL cannot match bytes: both sides are compared with bytes beyond ASCII as octal numbers.
        """
        if self.is_sqlite:
            text = cast(type_coerce(FILES.c.path, LargeBinary), Text)
            return text.like("%".join(_escaped(part) for part in parts), escape="!")
        shown = type_coerce(func.encode(FILES.c.path, literal_column("'escape'")), Text)
        return collate(shown, "C").ilike("%".join(_escaped(_octal(part)) for part in parts), escape="!")

    def _sort_key(self, order: Order) -> ColumnElement[Any]:
        return FILES.c.path if order == "path" else INDEXED[self.url.get_backend_name()][order]

    def _has_genre(self, genre: str) -> ColumnElement[bool]:
        written = type_coerce(FILES.c.after, Text) if self.is_sqlite else AFTER
        if genre == NO_GENRE:
            return written == "[]"
        find = func.instr if self.is_sqlite else func.strpos
        return find(written, json.dumps(genre)) > 0


def _has_written(written: str, genre: str) -> bool:
    """Tell whether a genre is in a list in JSON, as `_has_genre` does in the database."""
    return written == "[]" if genre == NO_GENRE else json.dumps(genre) in written


def _count(condition: ColumnElement[bool], wanted: TrackFilter) -> Select[Any]:
    number: ColumnElement[Any] = func.count()
    if wanted.one_per_song:
        number = func.count(distinct(FILES.c.audio_key)) + func.count(case((FILES.c.audio_key.is_(None), 1)))
    return select(number).select_from(FILES).where(condition)


def _ranked(
    query: Select[Any],
    keys: ColumnElement[Any],
    paths: ColumnElement[Any],
    place: tuple[Any, str] | None,
    falling: bool,
) -> Select[Any]:
    """Order a query by keys, then paths, and begin after a place."""
    if place is not None:
        key, path = place
        # With a bound of the key alone, an index leads to the place.
        after = or_(keys < key, paths < path) if falling else or_(keys > key, paths > path)
        query = query.where(keys <= key if falling else keys >= key, after)
    return query.order_by(*(column.desc() if falling else column.asc() for column in (keys, paths)))


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
