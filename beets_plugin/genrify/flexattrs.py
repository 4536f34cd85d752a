"""What an item carries of us in beets' own library: flexible attributes, typed, so that they can be asked for.

Four are for people: `genrify_status`, `genrify_confidence`, `genrify_scores` and `genrify_model`. The rest is for us:
`genrify_genres` is what we made of the genre, `genrify_before` what it was, and `genrify_run` names the run in the
journal; they tell our genre from anybody else's, and let a run be taken back wherever the item has moved to.
`genrify_earlier` keeps these three for earlier runs whose genre was ours, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from beets.dbcore import types
from beets.library import Item, ReadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from beets.dbcore.types import Type
    from beets.library import Album

    from genrify_tagger.pipeline import Provenance, Result, Suggestion

CONFIDENCE: Final = "genrify_confidence"
MODEL: Final = "genrify_model"
SCORES: Final = "genrify_scores"
STATUS: Final = "genrify_status"
RUN: Final = "genrify_run"
GENRES: Final = "genrify_genres"
BEFORE: Final = "genrify_before"
EARLIER: Final = "genrify_earlier"
# An item that lacks an attribute shows its album's: an album's have names of their own.
ALBUM_GENRES: Final = "genrify_album_genres"
ALBUM_BEFORE: Final = "genrify_album_before"

UNDONE: Final = "undone"

ALBUM_TYPES: Final[Mapping[str, Type[Any, Any]]] = {
    ALBUM_GENRES: types.MULTI_VALUE_DSV,
    ALBUM_BEFORE: types.MULTI_VALUE_DSV,
}
ITEM_TYPES: Final[Mapping[str, Type[Any, Any]]] = {
    CONFIDENCE: types.Float(2),
    MODEL: types.STRING,
    SCORES: types.STRING,
    STATUS: types.STRING,
    RUN: types.INTEGER,
    GENRES: types.MULTI_VALUE_DSV,
    BEFORE: types.MULTI_VALUE_DSV,
    EARLIER: types.STRING,
    **ALBUM_TYPES,  # which beets copies to the items when an album is imported again
}


def genres_of(model: Item | Album) -> list[str]:
    """Return the genres that beets has for an item itself, or an album."""
    return list(model["genres"] or [])


def claimed(item: Item) -> list[str] | None:
    """Return the genres that we gave an item; None if we gave it none that was not taken back."""
    return None if own(item, RUN) is None else list(own(item, GENRES) or [])


def is_ours(item: Item) -> bool:
    """Tell whether the genre that an item has is the one that we gave it."""
    return claimed(item) == genres_of(item)


def was_undone(item: Item) -> bool:
    """Tell whether the last that we did to an item was to take a genre back."""
    return bool(own(item, STATUS) == UNDONE)


def own(item: Item, name: str) -> Any:
    """Return an attribute of the item itself, not of its album; None if it lacks it."""
    return item.get(name, None, with_album=False)


def past_of(item: Item) -> Provenance:
    """Say what beets' library knows of how an item came by its genre."""
    from genrify_tagger.pipeline import Provenance

    if was_undone(item):
        return Provenance.UNDONE
    ours = claimed(item)
    if ours is None:
        return Provenance.UNTOUCHED
    return Provenance.OURS if genres_of(item) == ours else Provenance.FOREIGN


def tell(item: Item, advice: Suggestion) -> bool:
    """Put on an item what was heard; return whether that changed anything."""
    from genrify_tagger.pipeline import Provenance

    result = advice.result
    told: dict[str, Any] = {}
    if result.model:
        told = {CONFIDENCE: _rounded(result.confidence), MODEL: result.model, SCORES: scores_in_words(result)}
    is_settled = past_of(item) in (Provenance.OURS, Provenance.UNDONE)
    if result.status == "tagged" or (not is_settled and (result.model or result.status == "failed")):
        told[STATUS] = result.status
    changed = {name: value for name, value in told.items() if own(item, name) != value}
    item.update(changed)
    return bool(changed)


def claim(item: Item, genres: Sequence[str], run: int) -> None:
    """Give an item a genre of ours, and note what it had before."""
    earlier = [*_earlier(item), [own(item, name) for name in (RUN, GENRES, BEFORE)]] if is_ours(item) else []
    item.update({"genres": list(genres), GENRES: list(genres), BEFORE: genres_of(item), RUN: run})
    _keep_earlier(item, earlier)


def give_back(item: Item) -> None:
    """Give an item the genre back that it had before the last run, and remember that something was taken back.

    Was that a genre of ours, too, then the item is marked again as the earlier run had left it.
    """
    item["genres"] = list(own(item, BEFORE) or [])
    item[STATUS] = UNDONE
    _forget(item, RUN, GENRES, BEFORE)
    earlier = _earlier(item)
    if earlier:
        item.update(dict(zip((RUN, GENRES, BEFORE), earlier.pop(), strict=True)))
    _keep_earlier(item, earlier)


def carry_over(item: Item, former: Item) -> None:
    """Let an item that is imported again be as if it were new if our genre is in its file no longer, or never was.

    Beets keeps our attributes then, but reads the genre from the file. Whether somebody removed it there, the journal
    knows.
    """
    if is_ours(former) and not is_ours(item):
        _forget(item, RUN, GENRES, BEFORE, EARLIER)


def _forget(item: Item, *names: str) -> None:
    for name in names:
        if own(item, name) is not None:
            del item[name]


def _earlier(item: Item) -> list[list[Any]]:
    """Return what earlier runs had left on an item, the last one last: run, genres, and genres before."""
    try:
        return list(json.loads(own(item, EARLIER) or "[]"))
    except ValueError:  # somebody else wrote into it
        return []


def _keep_earlier(item: Item, earlier: Sequence[Sequence[Any]]) -> None:
    if earlier:
        item[EARLIER] = json.dumps(earlier)
    else:
        _forget(item, EARLIER)


def mtime_in_step(item: Item, former: float) -> float:
    """Return the modification time to keep for an item that was changed in the library and not in its file.

    Parameters
    ----------
    item : Item
        As it is to be stored.
    former : float
        What it had before.

    Returns
    -------
    float
        With which `beet update` does not read the file's genre over ours, unless it has other things to read there.
    """
    current = item.current_mtime()
    if current <= former:
        return former
    try:
        file = Item.from_path(item.path)
    except ReadError:
        return former
    # beets itself fills in the album's artist in the library only
    names = [name for name in Item._media_tag_fields if name != "genres" and not name.startswith("albumartist")]
    return current if all(file.get(name) == item.get(name) for name in names) else former


def scores_in_words(result: Result, limit: int | None = None) -> str:
    """Return the scores as "jazz 0.89, blues 0.05, ...", best first."""
    ranked = sorted(result.scores.items(), key=lambda pair: -pair[1])[:limit]
    return ", ".join(f"{label} {score:.2f}" for label, score in ranked)


def _rounded(confidence: float | None) -> float:
    return round(confidence or 0.0, 4)
