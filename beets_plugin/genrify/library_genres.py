"""What beets' library says of the artist and the album of an item: the genres of the other items."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from beets.dbcore.query import MatchQuery, OrQuery

from . import flexattrs

if TYPE_CHECKING:
    from beets.library import Item, Library

    from genrify_tagger.pipeline.analyse_file import Titles
    from genrify_tagger.store import GenreRow

_MOST_ARTISTS = 100  # up to which items are looked up by artist, rather than all of them
_MOST_ITEMS = 500  # of an artist, or of an album, that count


class LibraryGenres:
    """The genres in beets' library, of the artists of some items; what the plugin set itself does not count.

    Parameters
    ----------
    library : Library
    items : sequence of Item
    """

    def __init__(self, library: Library, items: Sequence[Item]) -> None:
        self._by_artist: defaultdict[str, list[GenreRow]] = defaultdict(list)
        self._by_album: defaultdict[str, list[GenreRow]] = defaultdict(list)
        for item in _items_of_artists(library, items):
            row = _row(item)
            if row is not None:
                self._by_artist[row.artist_key or ""].append(row)
                self._by_album[row.album_key or ""].append(row)

    def others(self, titles: Titles, path: str) -> list[GenreRow]:
        """Return other items of the artist and album of an item, those of the album first."""
        of_album = self._by_album.get(titles.album_key, []) if titles.album_key else []
        of_artist = self._by_artist.get(titles.artist_key, []) if titles.artist_key else []
        found = {row.path: row for row in (*of_album[:_MOST_ITEMS], *of_artist[:_MOST_ITEMS])}
        found.pop(path, None)
        return [*found.values()]


def _items_of_artists(library: Library, items: Sequence[Item]) -> Sequence[Item]:
    artists = {name for item in items for name in (item.albumartist, item.artist) if name}
    if len(artists) > _MOST_ARTISTS:
        return list(library.items())
    queries = [MatchQuery(field, name) for name in sorted(artists) for field in ("albumartist", "artist")]
    return list(library.items(OrQuery(queries))) if queries else []


def _row(item: Item) -> GenreRow | None:
    """Return the genre of an item and whose it is; None if it has none, or one from the plugin."""
    from genrify_tagger.files import real_path
    from genrify_tagger.pipeline.analyse_file import titles_from_tags
    from genrify_tagger.store import GenreRow

    genres = tuple(flexattrs.genres_of(item))
    if not genres or flexattrs.has_given_genre(item):
        return None
    path = real_path(os.fsdecode(item.path))
    titles = titles_from_tags(flexattrs.titles_of(item), path)
    return GenreRow(path, None, "kept", None, genres, titles.artist_key, titles.album_key)
