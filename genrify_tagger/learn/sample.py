"""Which songs of a large library fit in memory together: a sample to learn from, or parts to audit one by one.

The songs of an artist stay together, because songs are judged by what other artists, or the artist's other songs, have.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from genrify_tagger.pipeline import Session
from genrify_tagger.store import GenreRow

MOST_SONGS = 100_000  # about 9 KB each while learning

Choice = Callable[[GenreRow], bool]  # whether a file's song is one of those chosen


def everything(row: GenreRow) -> bool:
    """Choose all songs."""
    del row
    return True


def sample(session: Session, places: Sequence[str] = (), *, most: int = MOST_SONGS) -> Choice:
    """Choose at most about `most` songs, always the same ones: of each genre equally many, as far as there are.

    Parameters
    ----------
    session : Session
    places : sequence of str
        Real paths of files and folders; only artists with a song there are chosen. Empty for all.
    most : int
        If the library does not have more files with known audio, all are chosen.
    """
    if session.store.count_identified() <= most:
        return everything
    by_artist: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for artist, genres, number in session.store.genres_by_artist(places):
        by_artist[artist][genres[0] if genres else ""] += number
    total = sum(map(Counter.total, by_artist.values()))
    without_artist = by_artist.pop("", Counter())
    share = most / max(total, most)
    artists = _artists(by_artist, most - int(share * without_artist.total()))
    return lambda row: row.artist_key in artists if row.artist_key else _place(row) < share


def parts(session: Session, *, most: int = MOST_SONGS) -> list[Choice]:
    """Divide the songs into parts of about `most` songs or fewer."""
    number = math.ceil(session.store.count_identified() / most)
    if number <= 1:
        return [everything]
    return [lambda row, part=part: int(_place(row) * number) == part for part in range(number)]  # type: ignore[misc]


def _artists(by_artist: dict[str, Counter[str]], most: int) -> set[str]:
    """Return artists with at most `most` songs together, those of rare genres first (priority sampling)."""
    by_genre: Counter[str] = Counter()
    for songs in by_artist.values():
        by_genre.update(songs)
    rates = _rates(by_genre, most)
    rank = {artist: _fraction(artist) / max(map(rates.__getitem__, songs)) for artist, songs in by_artist.items()}
    chosen: set[str] = set()
    for artist in sorted(by_artist, key=rank.__getitem__):
        most -= by_artist[artist].total()
        if most < 0:
            break
        chosen.add(artist)
    return chosen


def _rates(songs: Counter[str], most: int) -> dict[str, float]:
    """Return which share of each genre's songs is wanted, so that genres are equal as far as they have enough songs."""
    rates: dict[str, float] = {}
    for done, (genre, number) in enumerate(sorted(songs.items(), key=lambda item: item[1])):
        wanted = min(number, max(most // (len(songs) - done), 1))
        rates[genre] = wanted / number
        most -= wanted
    return rates


def _place(row: GenreRow) -> float:
    """Return a number from 0 to 1 that is the same for all songs of an artist, or without one, of an album."""
    return _fraction(row.artist_key or row.album_key or row.path)


def _fraction(text: str) -> float:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8, person=b"sample")
    return int.from_bytes(digest.digest()) / 2**64
