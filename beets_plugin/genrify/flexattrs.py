"""The plugin's flexible attributes, typed, so that beets can query and format them.

Four are for the user: `genrify_status`, `genrify_confidence`, `genrify_scores` and `genrify_model`. The others serve
`--undo`: `genrify_genres` is the genre that the plugin set, `genrify_before` the one before, and `genrify_run` the
run in the journal. They distinguish a genre set by the plugin from any other, and stay with an item that moves.
`genrify_earlier` keeps these three of earlier runs.
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

    from genrify_tagger.pipeline import Result
    from genrify_tagger.pipeline.file_task import Outcome
    from genrify_tagger.pipeline.write_policy import Provenance

CONFIDENCE: Final = "genrify_confidence"
MODEL: Final = "genrify_model"
SCORES: Final = "genrify_scores"
STATUS: Final = "genrify_status"
RUN: Final = "genrify_run"
GENRES: Final = "genrify_genres"
BEFORE: Final = "genrify_before"
EARLIER: Final = "genrify_earlier"
# Beets falls back from an item's attribute to the album's, so the album's have other names.
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
    **ALBUM_TYPES,  # beets copies these to the items when an album is imported again
}


def genres_of(model: Item | Album) -> list[str]:
    """Return the genres in beets' library of an item (not of its album) or an album."""
    return list(model["genres"] or [])


def titles_of(item: Item) -> dict[str, str]:
    """Return an item's titles under the names that `pipeline.analyse_file.titles_from_tags` knows."""
    return {
        "title": item.title,
        "artist": item.artist,
        "album": item.album,
        "album_artist": item.albumartist,
        "artist_id": item.mb_albumartistid or item.mb_artistid,
        "album_id": item.mb_albumid,
        "compilation": "1" if item.comp else "",
    }


def genres_given(item: Item) -> list[str] | None:
    """Return the genres that the plugin set and did not undo; None if there are none."""
    return None if item_attr(item, RUN) is None else list(item_attr(item, GENRES) or [])


def has_given_genre(item: Item) -> bool:
    """Return whether an item still has the genre that the plugin set."""
    return genres_given(item) == genres_of(item)


def was_undone(item: Item) -> bool:
    """Return whether the plugin's last change of an item was an undo."""
    return bool(item_attr(item, STATUS) == UNDONE)


def item_attr(item: Item, name: str) -> Any:
    """Return an attribute of the item itself, never of its album; None if it lacks it."""
    return item.get(name, None, with_album=False)


def item_provenance(item: Item) -> Provenance:
    """Return the provenance of an item's genre, as far as it is known from beets' library."""
    from genrify_tagger.pipeline.write_policy import Provenance

    if was_undone(item):
        return Provenance.UNDONE
    given = genres_given(item)
    if given is None:
        return Provenance.NOT_WRITTEN
    return Provenance.WRITTEN_BY_PROGRAM if genres_of(item) == given else Provenance.CHANGED_SINCE


def set_analysis(item: Item, suggestion: Outcome) -> bool:
    """Set the attributes that describe an analysis; return whether any of them changed."""
    from genrify_tagger.pipeline.write_policy import Provenance

    result = suggestion.result
    attributes: dict[str, Any] = {}
    if result.model:
        attributes = {CONFIDENCE: _rounded(result.confidence), MODEL: result.model, SCORES: format_scores(result)}
    is_settled = item_provenance(item) in (Provenance.WRITTEN_BY_PROGRAM, Provenance.UNDONE)
    if result.status == "tagged" or (not is_settled and (result.model or result.status == "failed")):
        attributes[STATUS] = result.status
    changed = {name: value for name, value in attributes.items() if item_attr(item, name) != value}
    item.update(changed)
    return bool(changed)


def set_genres(item: Item, genres: Sequence[str], run: int) -> None:
    """Set the genres of an item, and keep the former ones for `--undo`."""
    earlier = (
        [*_earlier_runs(item), [item_attr(item, name) for name in (RUN, GENRES, BEFORE)]]
        if has_given_genre(item)
        else []
    )
    item.update({"genres": list(genres), GENRES: list(genres), BEFORE: genres_of(item), RUN: run})
    _set_earlier_runs(item, earlier)


def restore_genres(item: Item) -> None:
    """Restore the genre that an item had before the last run, and mark the item as undone.

    If an earlier run had set that genre, the attributes of that run are restored, too.
    """
    item["genres"] = list(item_attr(item, BEFORE) or [])
    item[STATUS] = UNDONE
    _delete_attrs(item, RUN, GENRES, BEFORE)
    earlier = _earlier_runs(item)
    if earlier:
        item.update(dict(zip((RUN, GENRES, BEFORE), earlier.pop(), strict=True)))
    _set_earlier_runs(item, earlier)


def reset_if_genre_lost(item: Item, former: Item) -> None:
    """Reset an item that is imported again if its file does not have the plugin's genre (any more).

    Beets keeps the flexible attributes then, but reads the genre from the file. The journal knows whether the genre was
    removed from the file.
    """
    if has_given_genre(former) and not has_given_genre(item):
        _delete_attrs(item, RUN, GENRES, BEFORE, EARLIER)


def _delete_attrs(item: Item, *names: str) -> None:
    for name in names:
        if item_attr(item, name) is not None:
            del item[name]


def _earlier_runs(item: Item) -> list[list[Any]]:
    """Return run, genres and former genres of earlier runs, the latest last."""
    try:
        return list(json.loads(item_attr(item, EARLIER) or "[]"))
    except ValueError:  # was edited by hand
        return []


def _set_earlier_runs(item: Item, earlier: Sequence[Sequence[Any]]) -> None:
    if earlier:
        item[EARLIER] = json.dumps(earlier)
    else:
        _delete_attrs(item, EARLIER)


def mtime_to_keep(item: Item, former: float) -> float:
    """Return the modification time to store for an item that was changed in the library but not in its file.

    Parameters
    ----------
    item : Item
        With its new attributes, before it is stored.
    former : float
        The item's modification time in the library.

    Returns
    -------
    float
        A time with which `beet update` does not overwrite the new genre with that of the file, unless other fields of
        the file differ from the library.
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


def format_scores(result: Result, limit: int | None = None) -> str:
    """Return the scores as "jazz 0.89, blues 0.05, ...", best first."""
    ranked = sorted(result.scores.items(), key=lambda pair: -pair[1])[:limit]
    return ", ".join(f"{label} {score:.2f}" for label, score in ranked)


def _rounded(confidence: float | None) -> float:
    return round(confidence or 0.0, 4)
