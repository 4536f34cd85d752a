"""The library as material to learn from: its songs, whose genres can be learned, and why others cannot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genrify_tagger.decision import leaf_probabilities, song_features
from genrify_tagger.decision.evidence import evidence_features
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import is_inside, real_path
from genrify_tagger.genre_spelling import UnifiedNames, fold_rare, unify
from genrify_tagger.learn.discriminant import Ints
from genrify_tagger.learn.held_out import Songs
from genrify_tagger.learn.sample import Choice, everything
from genrify_tagger.learn.wider import WiderGenres, find_wider
from genrify_tagger.pipeline import Session
from genrify_tagger.pipeline.trusted_genres import one_per_song, teaching_weight, trusted_genres, written_by_program
from genrify_tagger.song_groups import FOLDER, FOLDER_LIMIT
from genrify_tagger.store import GenreRow

MIN_SONGS, MIN_ARTISTS = 8, 3  # of a genre that can be learned


@dataclass(frozen=True, eq=False)
class Library:
    """Songs, and what their genres are called.

    Attributes
    ----------
    songs : Songs
    rows : sequence of GenreRow
        The file of each song.
    genres : tuple of str
        Those that can be learned.
    named : sequence of tuple of str
        All genres of each song by one name each, also those that cannot be learned; empty if it has none to trust.
    left_out : mapping of str to str
        Genres that cannot be learned, and why.
    folded : mapping of str to str
        Wider genre by rare genre that counts as it.
    wider : WiderGenres
        The widest genres in the tree.
    outdated : int
        Songs left out because an earlier version, or another model, stored their sound.
    sample_of : int or None
        How many songs there are, if these are a sample.
    """

    songs: Songs
    rows: Sequence[GenreRow]
    genres: tuple[str, ...]
    named: Sequence[tuple[str, ...]]
    left_out: Mapping[str, str]
    folded: Mapping[str, str]
    wider: WiderGenres
    outdated: int
    sample_of: int | None

    @property
    def untagged(self) -> Ints:
        """Numbers of the songs that have no genre."""
        return np.flatnonzero([row.status == "unsure" for row in self.rows])


def read_library(
    session: Session,
    paths: Sequence[str] = (),
    without: Mapping[str, str] | None = None,
    *,
    chosen: Choice = everything,
) -> Library:
    """Read the analysed songs, and which genres there are to learn.

    Parameters
    ----------
    session : Session
    paths : sequence of str
        Files and folders whose songs teach; empty for all.
    without : mapping of str to str
        Genres to leave out, and why.
    chosen : callable
        Which songs; see `sample`.

    Raises
    ------
    GenrifyError
        If the session's model has no genre tree.
    """
    if session.model_tree.head is None:
        raise GenrifyError("this model has no genre tree, from which learning starts", path=session.sidecar.path)
    rows, features, leaves = _analysed_songs(session, chosen)
    analysed = session.store.count_analyses(session.sidecar.analyses, session.front_end)
    teaching = list(_genres_by_row(session, rows, paths))
    named, folded = _one_name_each(session, teaching)
    genres, left_out = _learnable(rows, named, dict(without or {}))
    columns = {genre: column for column, genre in enumerate(genres)}
    allowed = np.zeros((len(rows), len(genres)), bool)
    first = np.full(len(rows), -1)
    for number, words in enumerate(named):
        known = [columns[word] for word in words if word in columns]
        allowed[number, known] = True
        first[number] = known[0] if known else -1
    songs = Songs(
        features=features,
        coarse_columns=session.model_tree.coarse_columns,
        leaf_probabilities=leaves,
        genres=first,
        allowed=allowed,
        judged=np.array([bool(words) for words in named]),
        artists=_numbers([row.artist_key or "" for row in rows]),
        albums=_numbers(_album_keys(rows)),
        weights=np.array([teaching_weight(row) for row in rows]),
    )
    wider = find_wider(genres, named, session.words.tree)
    outdated = session.store.count_analysed() - analysed
    sample_of = None if chosen is everything else analysed
    return Library(songs, rows, genres, named, left_out, folded, wider, outdated, sample_of)


def count_teaching_files(session: Session) -> int:
    """Return how many files have a genre to learn from; of any library, since none is held in memory."""
    return sum(map(bool, _genres_by_row(session, session.store.genre_rows(), ())))


def _analysed_songs(session: Session, chosen: Choice) -> tuple[list[GenreRow], np.ndarray, np.ndarray]:
    """Return a file of each analysed song, features, and leaf probabilities."""
    by_key = one_per_song(filter(chosen, session.store.genre_rows()))
    assert session.model_tree.head is not None
    head = session.model_tree.head
    most, n_leaves = len(by_key), len(head.leaves)
    rows: list[GenreRow] = []
    features = np.zeros((most, len(head.weights) + n_leaves), np.float32)
    leaves = np.zeros((most, n_leaves), np.float32)
    for sound in session.store.sounds(session.sidecar.analyses, session.front_end, sorted(by_key)):
        plain = song_features(sound.embedding, sound.spread, sound.tags)
        probabilities = leaf_probabilities(plain, head)
        features[len(rows)] = evidence_features(plain, probabilities)
        leaves[len(rows)] = probabilities
        rows.append(by_key[sound.audio_key])
    return rows, features[: len(rows)], leaves[: len(rows)]


def _genres_by_row(session: Session, rows: Iterable[GenreRow], paths: Sequence[str]) -> Iterator[tuple[str, ...]]:
    tagging = session.settings.tagging
    written = written_by_program(session.store, tagging.field)
    inside = [real_path(path) for path in paths]
    for row in rows:
        is_outside = bool(inside) and not is_inside(row.path, inside)
        yield () if is_outside else trusted_genres(row, tagging.treat_as_missing, written)


def _one_name_each(
    session: Session, genres: Sequence[tuple[str, ...]]
) -> tuple[list[tuple[str, ...]], Mapping[str, str]]:
    """Return each song's genres by one name a genre, rare ones folded; and which genre folds into which."""
    rules = session.words.spelling
    names = UnifiedNames(unify(Counter(word for words in genres for word in words), rules), rules)
    unified = [names(words) for words in genres]
    counts = Counter(word for words in unified for word in words[:1])
    folded = fold_rare(counts, session.words.tree, MIN_SONGS)
    return [tuple(dict.fromkeys(folded.get(word, word) for word in words)) for words in unified], folded


def _learnable(
    rows: Sequence[GenreRow], named: Sequence[tuple[str, ...]], left_out: dict[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the genres with enough songs and artists, and why others are left out."""
    songs: Counter[str] = Counter()
    artists: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row, words in zip(rows, named, strict=True):
        if words and words[0] not in left_out:
            songs[words[0]] += 1
            artists[words[0]][row.artist_key or row.album_key or row.path] += 1
    for genre, number in songs.items():
        _, most = artists[genre].most_common(1)[0]
        if number < MIN_SONGS:
            left_out[genre] = f"{number} of the {MIN_SONGS} songs that are needed"
        elif len(artists[genre]) < MIN_ARTISTS or most > 0.8 * number:
            left_out[genre] = "one artist makes up most of it"
    return tuple(sorted(genre for genre in songs if genre not in left_out)), left_out


def _album_keys(rows: Sequence[GenreRow]) -> list[str]:
    sizes = Counter(row.album_key for row in rows)
    keys = [row.album_key or "" for row in rows]
    return ["" if key.startswith(FOLDER) and sizes[key] > FOLDER_LIMIT else key for key in keys]


def _numbers(keys: Sequence[str]) -> Ints:
    """Return a number for each key, -1 for ""."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key))}
    return np.array([numbers.get(key, -1) for key in keys], np.int64)
