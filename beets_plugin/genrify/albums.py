"""The genre of an album: that of at least half of its tracks. The tracks keep their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from beets import ui

from . import flexattrs

if TYPE_CHECKING:
    from beets.library import Album, Item

    from .options import RunOptions


def majority_genres(items: Sequence[Item], count: int, junk: Sequence[str]) -> list[str]:
    """Return the genres that at least half of the items have, most frequent first; ties are broken by confidence."""
    from genrify_tagger.pipeline.write_policy import meaningful

    votes: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for item in items:
        confidence = flexattrs.item_attr(item, flexattrs.CONFIDENCE) if flexattrs.genres_given(item) else 1.0
        for genre in meaningful(flexattrs.genres_of(item), junk):
            votes[genre] += 1
            weights[genre] += confidence or 0.0  # type: ignore[assignment]
    majority = [genre for genre in votes if 2 * votes[genre] >= len(items)]
    return sorted(majority, key=lambda genre: (-votes[genre], -weights[genre], genre))[:count]


def set_album_genre(
    album: Album, items: Sequence[Item], run_options: RunOptions, junk: Sequence[str], *, show: bool
) -> None:
    """Set the genre of an album that has none, or one that the plugin set, or if forced.

    Parameters
    ----------
    album : Album
        Is stored, unless it is a dry run.
    items : sequence of Item
        All its items, with their new genres.
    run_options : RunOptions
        `album_genre`, `count`, `force`, `keep_existing` and `pretend` count.
    junk : sequence of str
        Genres that count as none.
    show : bool
        Whether to print the change.
    """
    from genrify_tagger.pipeline.write_policy import meaningful

    present, given = flexattrs.genres_of(album), _album_genres_given(album)
    if not any(flexattrs.has_given_genre(item) for item in items):
        return  # the plugin set none of its genres
    changed_by_others = meaningful(present, junk) or given is not None  # removing the plugin's genre is a change, too
    if present != given and changed_by_others and not run_options.force:
        return
    former = _genres_before(album) if present == given else present
    kept = _kept_in_front(former, given or [])
    if run_options.force:
        kept = list(meaningful(former, junk)) if run_options.keep_existing else []
    wanted = _appended(kept, majority_genres(items, run_options.count, junk), run_options.count)
    _update_album(album, wanted, former, run_options, show=show)


def restore_album_genre(album: Album, items: Sequence[Item], run_options: RunOptions, junk: Sequence[str]) -> None:
    """Update an album's genre after an undo of some tracks.

    It is that of most tracks; if there is none, or no track has a genre from the plugin any more, the album gets its
    former genre back. A genre that the user gave the album stays.

    Parameters
    ----------
    album : Album
        Is stored, unless it is a dry run.
    items : sequence of Item
        All its items, with their new genres.
    run_options : RunOptions
        `album_genre`, `count`, `force`, `keep_existing` and `pretend` count.
    junk : sequence of str
        Genres that count as none.
    """
    given = _album_genres_given(album)
    if given is None or given != flexattrs.genres_of(album):
        return
    former = _genres_before(album)
    wanted: list[str] = []
    if any(flexattrs.has_given_genre(item) for item in items):
        if not run_options.album_genre:
            return
        kept = _kept_in_front(former, given)
        count = max(run_options.count, len(kept) + 1)
        majority = majority_genres(items, count, junk)
        wanted = _appended(kept, majority, count) if majority else []
    if wanted:
        _update_album(album, wanted, former, run_options, show=True)
    else:
        _restore_former(album, former, run_options)


def _restore_former(album: Album, former: list[str], run_options: RunOptions) -> None:
    album["genres"] = former
    ui.show_model_changes(album, fields=["genres"])
    if not run_options.pretend:
        for name in flexattrs.ALBUM_TYPES:
            if name in album:
                del album[name]
        album.store(inherit=False)


def keep_album_genre(album: Album, former: Album, items: Sequence[Item]) -> None:
    """Keep the plugin's genre of an album that is imported again; beets would give it that of its first track."""
    made_by_beets = flexattrs.genres_of(album) in ([], flexattrs.genres_of(items[0]))
    if (
        made_by_beets
        and _album_genres_given(former) == flexattrs.genres_of(former)
        and any(flexattrs.has_given_genre(item) for item in items)
    ):
        album["genres"] = flexattrs.genres_of(former)
        album.store(inherit=False)


def _genres_before(album: Album) -> list[str]:
    return list(album.get(flexattrs.ALBUM_BEFORE) or [])


def _kept_in_front(former: list[str], given: Sequence[str]) -> list[str]:
    """Return the former genres if the plugin's were appended to them."""
    return former if list(given[: len(former)]) == former else []


def _appended(kept: Sequence[str], genres: Sequence[str], count: int) -> list[str]:
    """Return the genres kept and further ones, up to the count."""
    return [*kept, *(genre for genre in genres if genre not in kept)][: max(count, len(kept))]


def _update_album(
    album: Album, wanted: Sequence[str], former: Sequence[str], run_options: RunOptions, *, show: bool
) -> None:
    if not wanted or list(wanted) == flexattrs.genres_of(album):
        return
    album["genres"] = list(wanted)
    if show:
        ui.show_model_changes(album, fields=["genres"])
    if not run_options.pretend:
        album.update({flexattrs.ALBUM_GENRES: list(wanted), flexattrs.ALBUM_BEFORE: list(former)})
        album.store(inherit=False)


def _album_genres_given(album: Album) -> list[str] | None:
    genres = album.get(flexattrs.ALBUM_GENRES)
    return None if genres is None else list(genres)
