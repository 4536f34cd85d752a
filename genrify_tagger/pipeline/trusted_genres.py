"""Which files' genres the program may learn from: those that it did not write itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from genrify_tagger.pipeline.manual import REASON as SET_BY_HAND
from genrify_tagger.pipeline.write_policy import meaningful
from genrify_tagger.store import GenreRow, Store

CORRECTION_WEIGHT = 5.0  # songs without a correction that one with a correction counts as
# Reasons why the program kept what it wrote, or may have written; the last is that of earlier versions.
_OWN = ("tagged earlier", "already has this genre", "says so already")


def trusted_genres(row: GenreRow, junk: Sequence[str], written: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the genres in a file that others than this program gave it; none if it wrote them, or there are none.

    Parameters
    ----------
    row : GenreRow
    junk : sequence of str
        Genres that count as none.
    written : mapping of str to tuple of str
        What the program wrote last, by path; see `written_by_program`.
    """
    if row.status != "kept" or row.reason in _OWN or written.get(row.path) == row.after:
        return ()
    return meaningful(row.after, junk)


def one_per_song(rows: Iterable[GenreRow]) -> dict[str, GenreRow]:
    """Return one file of each song by audio key: the first set by hand, else the first that has a genre, else any."""
    found: dict[str, GenreRow] = {}
    for row in rows:
        if row.audio_key is not None and (row.audio_key not in found or _rank(row) > _rank(found[row.audio_key])):
            found[row.audio_key] = row
    return found


def _rank(row: GenreRow) -> int:
    return (row.status == "kept") + (row.reason == SET_BY_HAND)


def teaching_weight(row: GenreRow) -> float:
    """Return how much a file's genre counts: more if it was set by hand."""
    return CORRECTION_WEIGHT if row.reason == SET_BY_HAND else 1.0


def written_by_program(store: Store, field: str) -> dict[str, tuple[str, ...]]:
    """Return the genres that this program wrote last, by path; what was set by hand or undone is not among them."""
    return store.written_genres(field, but_not=("set", "undo"))
