"""An album's genre: what most of its tracks have. The tracks keep their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from beets import ui

from . import flexattrs

if TYPE_CHECKING:
    from beets.library import Album, Item

    from .options import Choices


def aggregated(items: Iterable[Item], count: int, junk: Sequence[str]) -> list[str]:
    """Return the genres that most items have, the surer ones first among equals."""
    from genrify_tagger.pipeline import meaningful

    votes: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for item in items:
        sureness = flexattrs.own(item, flexattrs.CONFIDENCE) if flexattrs.claimed(item) else 1.0
        for genre in meaningful(flexattrs.genres_of(item), junk):
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

    present, ours = flexattrs.genres_of(album), _ours(album)
    if not any(flexattrs.is_ours(item) for item in items):
        return  # none of its genres is of ours
    given_by_others = meaningful(present, junk) or ours is not None  # having taken ours away counts, too
    if present != ours and given_by_others and not choices.force:
        return
    former = _former(album) if present == ours else present
    kept = _in_front(former, ours or [])
    if choices.force:
        kept = list(meaningful(former, junk)) if choices.keep_existing else []
    wanted = _behind(kept, aggregated(items, choices.count, junk), choices.count)
    _give(album, wanted, former, choices, show=show)


def give_back(album: Album, items: Sequence[Item], choices: Choices, junk: Sequence[str]) -> None:
    """Let an album's genre follow tracks that were given theirs back.

    It is what most tracks have then; once none has a genre of ours any more, it is what it was before ours. What
    somebody else gave the album stays.

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
    """
    ours = _ours(album)
    if ours is None or ours != flexattrs.genres_of(album):
        return
    former = _former(album)
    if any(flexattrs.is_ours(item) for item in items):
        if choices.album_genre:
            kept = _in_front(former, ours)
            count = max(choices.count, len(kept) + 1)
            _give(album, _behind(kept, aggregated(items, count, junk), count), former, choices, show=True)
        return
    album["genres"] = former
    ui.show_model_changes(album, fields=["genres"])
    if not choices.pretend:
        for name in flexattrs.ALBUM_TYPES:
            if name in album:
                del album[name]
        album.store(inherit=False)


def carry_over(album: Album, former: Album, items: Sequence[Item]) -> None:
    """Let an album that is imported again have the genre that we gave it: beets makes it anew, like its first track."""
    made_by_beets = flexattrs.genres_of(album) in ([], flexattrs.genres_of(items[0]))
    if (
        made_by_beets
        and _ours(former) == flexattrs.genres_of(former)
        and any(flexattrs.is_ours(item) for item in items)
    ):
        album["genres"] = flexattrs.genres_of(former)
        album.store(inherit=False)


def _former(album: Album) -> list[str]:
    return list(album.get(flexattrs.ALBUM_BEFORE) or [])


def _in_front(former: list[str], ours: Sequence[str]) -> list[str]:
    """Return the former genres if ours were put behind them."""
    return former if list(ours[: len(former)]) == former else []


def _behind(kept: Sequence[str], genres: Sequence[str], count: int) -> list[str]:
    """Return genres behind those that are kept, up to the count."""
    return [*kept, *(genre for genre in genres if genre not in kept)][: max(count, len(kept))]


def _give(album: Album, wanted: Sequence[str], former: Sequence[str], choices: Choices, *, show: bool) -> None:
    if not wanted or list(wanted) == flexattrs.genres_of(album):
        return
    album["genres"] = list(wanted)
    if show:
        ui.show_model_changes(album, fields=["genres"])
    if not choices.pretend:
        album.update({flexattrs.ALBUM_GENRES: list(wanted), flexattrs.ALBUM_BEFORE: list(former)})
        album.store(inherit=False)


def _ours(album: Album) -> list[str] | None:
    ours = album.get(flexattrs.ALBUM_GENRES)
    return None if ours is None else list(ours)
