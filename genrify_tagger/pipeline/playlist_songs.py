"""Choose songs of the library for a playlist, by genre and by similarity."""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from genrify_tagger.analysis import FloatArray
from genrify_tagger.config import nearest
from genrify_tagger.errors import GenrifyError
from genrify_tagger.genre_spelling import spelling, titled
from genrify_tagger.pipeline.embedding_index import EmbeddingIndex
from genrify_tagger.pipeline.library_genres import library_genres
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.track_report import inspect_one_off
from genrify_tagger.store import FileRecord

_BATCH = 500
_FIRST = 200  # of the most similar songs; more are looked up as they are needed

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SongChoice:
    """Which songs to choose.

    Attributes
    ----------
    genres : sequence of str
        Any of these, or a narrower one in the genre tree; empty: any genre, or none, for which there must be seeds.
    seeds : sequence of str
        Paths of songs to which the others should be similar; empty: in order of their paths.
    limit : int or None
        How many at most.
    per_artist : int or None
        How many at most of one artist; songs without an artist in their tags are not counted.
    min_confidence : float
        Songs whose genre the program wrote with less confidence are left out.
    shuffle : bool
        In random order, repeatable by `seed`.
    """

    genres: Sequence[str] = ()
    seeds: Sequence[str] = ()
    limit: int | None = None
    per_artist: int | None = None
    min_confidence: float = 0.0
    shuffle: bool = False
    seed: int | None = None


def choose_songs(session: Session, choice: SongChoice, on_progress: Progress) -> list[FileRecord]:
    """Return existing songs, one file of each, in the order of the playlist.

    Parameters
    ----------
    session : Session
    choice : SongChoice
    on_progress : callable
        See `EmbeddingIndex`.

    Raises
    ------
    GenrifyError
        If a genre is not in the library, or a seed cannot be analysed.
    """
    words = {word for genre in choice.genres for word in words_for_genre(session, genre)}
    order = random.Random(choice.seed)
    if choice.seeds:
        similar = _similar(session, choice.seeds, on_progress)
        found = list(_limited((song for song in similar if not words or not words.isdisjoint(song.after)), choice))
        if choice.shuffle:
            order.shuffle(found)
        return found
    paths = session.store.paths_with_genres(words)
    if choice.shuffle:
        order.shuffle(paths)
    return list(_limited(_records(session, paths), choice))


def words_for_genre(session: Session, genre: str) -> set[str]:
    """Return the words in the library's files that mean a genre or a narrower one.

    Raises
    ------
    GenrifyError
        If there are none.
    """
    rules, tree = session.words.spelling, session.words.tree
    wanted, known = rules.key(genre), library_genres(session)

    def is_wanted(name: str) -> bool:
        key = rules.key(name)
        return wanted in {key, *map(rules.key, tree.get(key, ()))}

    found = {word for one in known if is_wanted(one.name) for word in one.words}
    if not found:
        names = {one.name.lower(): one.name for one in known}
        near = nearest(genre, names)
        hint = f'did you mean "{names[near]}"?' if near else "'genrify-tag genres' lists the genres of the library"
        raise GenrifyError(f'no song in the library has the genre "{genre}"', hint=hint)
    return found


def names_of_genre(session: Session, genre: str) -> list[str]:
    """Return the names under which songs with a genre, or a narrower one, are or will be found, the genre first.

    Raises
    ------
    GenrifyError
        If neither the library nor the genre tree has it.
    """
    rules, tree = session.words.spelling, session.words.tree
    key = rules.key(genre)
    narrower = {titled(path[-1]) for path in tree.values() if key in map(rules.key, path)}
    if not narrower and key not in rules.known:
        return sorted(words_for_genre(session, genre))
    names = {titled(genre), *(rules.known.get(spelling(name), name) for name in narrower)}
    with contextlib.suppress(GenrifyError):  # if no song has it yet
        names |= words_for_genre(session, genre)
    name = rules.known.get(key) or next((name for name in sorted(names) if rules.key(name) == key), genre)
    return [name, *sorted(names - {name})]


def _limited(songs: Iterable[FileRecord], choice: SongChoice) -> Iterator[FileRecord]:
    return islice(_fitting(songs, choice), choice.limit)


def _fitting(songs: Iterable[FileRecord], choice: SongChoice) -> Iterator[FileRecord]:
    """Yield the songs that exist and fit, each once."""
    artists: Counter[str] = Counter()
    seen: set[str] = set()
    for song in songs:
        is_sure = song.status != "tagged" or (song.confidence or 0.0) >= choice.min_confidence
        if not is_sure or song.audio_key in seen or not os.path.exists(song.path):
            continue
        if song.artist_key and choice.per_artist is not None:
            if artists[song.artist_key] >= choice.per_artist:
                continue
            artists[song.artist_key] += 1
        if song.audio_key is not None:
            seen.add(song.audio_key)
        yield song


def _records(session: Session, paths: Sequence[str]) -> Iterator[FileRecord]:
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        found = session.store.files(batch)
        yield from (found[path] for path in batch if path in found)


def _similar(session: Session, seeds: Sequence[str], on_progress: Progress) -> Iterator[FileRecord]:
    """Yield the songs most similar to the seeds on average, without these."""
    songs = [inspect_one_off(session, os.path.abspath(path)) for path in seeds]
    seen = {song.identity.audio_key for song in songs}
    centre = _mean_direction([song.analysis.embedding for song in songs])
    index, count = EmbeddingIndex(session, on_progress), _FIRST
    while True:
        found = index.nearest(centre, count=count)
        for neighbour in found:
            if (neighbour.record.audio_key or "") not in seen:
                seen.add(neighbour.record.audio_key or "")
                yield neighbour.record
        if len(found) < count:
            return
        count *= 4


def _mean_direction(embeddings: Sequence[FloatArray]) -> FloatArray:
    stacked = np.stack(embeddings).astype(np.float32)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    return np.asarray((stacked / np.maximum(lengths, 1e-12)).mean(axis=0), np.float32)
