"""An album's genre: what most of its tracks have. The tracks keep their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from beets import ui

from . import marks

if TYPE_CHECKING:
    from beets.library import Album, Item

    from .options import Choices


def aggregated(items: Iterable[Item], count: int, junk: Sequence[str]) -> list[str]:
    """Return the genres that most items have, the surer ones first among equals."""
    from genrify_tagger.pipeline import meaningful

    votes: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for item in items:
        sureness = marks.own(item, marks.CONFIDENCE) if marks.claimed(item) else 1.0
        for genre in meaningful(marks.genres_of(item), junk):
            votes[genre] += 1
            weights[genre] += sureness or 0.0  # type: ignore[assignment]
    ranked = sorted(votes, key=lambda genre: (-votes[genre], -weights[genre], genre))
    return ranked[:count]


def settle(album: Album, items: Sequence[Item], choices: Choices, junk: Sequence[str], *, show: bool) -> None:
    """Give an album a genre if it has none, or one of ours, or that is forced.

    Parameters
    ----------
    album : Album
        From beets' library.
    items : sequence of Item
        All its items, as they will be.
    choices : Choices
        What is to be done.
    junk : sequence of str
        Genres that count as none.
    show : bool
        Whether to print the change.
    """
    from genrify_tagger.pipeline import meaningful

    present = marks.genres_of(album)
    ours = _ours(album)
    existing = [] if ours == present else list(meaningful(present, junk))
    if existing and not choices.force:
        return
    if not any(marks.claimed(item) for item in items):
        return  # none of its genres is of ours
    wanted = aggregated(items, choices.count, junk)
    if existing and choices.keep_existing:
        wanted = [*existing, *(genre for genre in wanted if genre not in existing)][: max(choices.count, len(existing))]
    if not wanted or wanted == present:
        return
    before = album.get(marks.ALBUM_BEFORE) if ours == present else present
    album["genres"] = wanted
    if show:
        ui.show_model_changes(album, fields=["genres"])
    if not choices.pretend:
        album.update({marks.ALBUM_GENRES: wanted, marks.ALBUM_BEFORE: list(before or [])})
        album.store(inherit=False)


def give_back(album: Album, given: Collection[int | None], *, pretend: bool) -> None:
    """Give an album its former genre back, once none of its tracks has a genre of ours any more.

    Parameters
    ----------
    album : Album
        From beets' library; if somebody changed its genre since, it stays.
    given : collection of int
        Items whose genre was, or would be, given back.
    pretend : bool
        Whether to show it only.
    """
    stands = any(marks.claimed(item) for item in album.items() if item.id not in given)
    if stands or _ours(album) != marks.genres_of(album):
        return
    album["genres"] = list(album.get(marks.ALBUM_BEFORE) or [])
    ui.show_model_changes(album, fields=["genres"])
    if not pretend:
        for name in marks.ALBUM_TYPES:
            if name in album:
                del album[name]
        album.store(inherit=False)


def _ours(album: Album) -> list[str] | None:
    ours = album.get(marks.ALBUM_GENRES)
    return None if ours is None else list(ours)
