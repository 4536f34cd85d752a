"""What the library says of a song: the genres and the sound of the other songs of its artist and album."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import SILENCE, Analysis
from genrify_tagger.decision import SILENT, Decision, leaf_probabilities, song_features
from genrify_tagger.decision.evidence import Company, decide_by_evidence, evidence_features
from genrify_tagger.files import counted
from genrify_tagger.learned_vocabulary import LearnedVocabulary
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.trusted_genres import one_per_song, teaching_weight, trusted_genres
from genrify_tagger.song_groups import FOLDER, FOLDER_LIMIT
from genrify_tagger.store import GenreRow, StoredSound

Array = npt.NDArray[np.float64]
Evidence = Mapping[str, Sequence[Mapping[str, Any]]]

_UNKNOWN = "path:"  # begins what stands for the audio key of a file that was never identified
_MOST_ROWS = 500  # songs of an artist that are asked for their genre
_MOST_SOUNDS = 24  # of these, whose sound counts
_SHOWN = 3  # genres of each kind of evidence


@dataclass(frozen=True)
class SongOrigin:
    """What tells which songs belong with one.

    Attributes
    ----------
    audio_key : str
    artist_key, album_key : str
        See `song_groups`; "" if there is none.
    others : sequence of GenreRow
        Other files of artist and album according to another program, whose word on their genres counts.
    """

    audio_key: str
    artist_key: str
    album_key: str
    others: Sequence[GenreRow] = ()


def decide_with_library(
    session: Session, learned: LearnedVocabulary, analysis: Analysis, origin: SongOrigin | None
) -> tuple[Decision, Evidence]:
    """Decide a song's genre by all that is known, and say what that is.

    Parameters
    ----------
    session : Session
    learned : LearnedVocabulary
    analysis : Analysis
        Of the song.
    origin : SongOrigin or None
        None if it is not known which songs belong with it.

    Returns
    -------
    decision : Decision
    evidence : mapping of str to sequence of mapping
        "sound", "learned": the likeliest genres with their scores; "artist", "album": the genres of most other songs,
        with the number of songs that have it, and of those that have any.
    """
    if not (np.asarray(analysis.levels) > SILENCE).any():
        return Decision((), 0.0, dict.fromkeys(learned.genres, 0.0), SILENT), {}
    assert analysis.spread is not None
    origin = origin or SongOrigin("", "", "")
    rows = _others(session, origin)
    sounds = _sounds(session, rows)
    own = StoredSound(origin.audio_key, analysis.embedding, analysis.spread, analysis.tags)
    features, leaves = _sound_features(session, [own, *sounds.values()])
    place = {key: number for number, key in enumerate(sounds, start=1)}
    known = {
        kind: [row for row in rows if key and getattr(row, f"{kind}_key") == key]
        for kind, key in (("artist", origin.artist_key), ("album", origin.album_key))
    }
    columns = {kind: [_genre_columns(session, row) for row in found] for kind, found in known.items()}
    artist, album = (_company(learned, known[kind], columns[kind], place) for kind in known)
    joined = decide_by_evidence(
        features,
        leaves,
        artist,
        album,
        learned,
        session.model_tree.coarse_columns,
        min_confidence=session.settings.tagging.min_confidence,
    )
    likeliest = {kind: _likeliest(scores, learned.genres) for kind, scores in joined.scores.items()}
    return joined.decision, likeliest | {kind: _most_frequent(found, learned.genres) for kind, found in columns.items()}


def _others(session: Session, origin: SongOrigin) -> list[GenreRow]:
    """Return the files of other songs of the artist and album, one a song."""
    if not origin.artist_key and not origin.album_key:
        return []
    known = session.store.genre_rows_of(origin.artist_key, origin.album_key, limit=_MOST_ROWS)
    rows = _with_others(known, origin.others)
    is_crowd = origin.album_key.startswith(FOLDER) and len(rows) > FOLDER_LIMIT
    others = one_per_song(row for row in rows if not (is_crowd and row.album_key == origin.album_key))
    others.pop(origin.audio_key, None)
    return [*others.values()]


def _with_others(rows: Sequence[GenreRow], others: Sequence[GenreRow]) -> list[GenreRow]:
    """Return the store's files with another program's word on their genres, and the files that only that one knows."""
    known = {row.path: row for row in rows}
    keys = {path: row.audio_key for path, row in known.items()}
    unknown = {row.path: replace(row, audio_key=keys.get(row.path) or f"{_UNKNOWN}{row.path}") for row in others}
    return [*(known | unknown).values()]


def _sounds(session: Session, rows: Sequence[GenreRow]) -> dict[str, StoredSound]:
    """Return the stored sounds of some songs by their audio keys."""
    keys = [key for row in rows if not (key := str(row.audio_key)).startswith(_UNKNOWN)][:_MOST_SOUNDS]
    if not keys:
        return {}
    return {one.audio_key: one for one in session.store.sounds(session.sidecar.analyses, session.front_end, keys)}


def _genre_columns(session: Session, row: GenreRow) -> set[int]:
    """Return which of the learned genres a file has."""
    rules, columns = session.words.spelling, session.active.learned_columns
    names = trusted_genres(row, session.settings.tagging.treat_as_missing, {})
    keys = [rules.key(part) for name in names for part in rules.parts(name)]
    return {columns[key] for key in keys if key in columns}


def _company(
    learned: LearnedVocabulary, rows: Sequence[GenreRow], columns: Sequence[set[int]], place: Mapping[str, int]
) -> Company:
    counts = np.zeros(len(learned.genres))
    for row, known in zip(rows, columns, strict=True):
        for column in known:
            counts[column] += teaching_weight(row) / len(known)
    return Company(np.array([place[key] for row in rows if (key := str(row.audio_key)) in place], np.int64), counts)


def _sound_features(session: Session, sounds: Sequence[StoredSound]) -> tuple[Array, Array]:
    """Return features and leaf probabilities of some songs."""
    head = session.model_tree.head
    assert head is not None
    columns = ([getattr(sound, name) for sound in sounds] for name in ("embedding", "spread", "tags"))
    features = song_features(*map(np.stack, columns))
    leaves = leaf_probabilities(features, head)
    return evidence_features(features, leaves).astype(np.float32).astype(np.float64), leaves


def _likeliest(scores: Array, genres: Sequence[str]) -> list[dict[str, Any]]:
    best = np.argsort(-scores, kind="stable")[:_SHOWN]
    return [{"genre": genres[column], "score": round(float(scores[column]), 4)} for column in map(int, best)]


def _most_frequent(columns: Sequence[set[int]], genres: Sequence[str]) -> list[dict[str, Any]]:
    counts = Counter(column for known in columns for column in sorted(known))
    total = sum(map(bool, columns))
    return [{"genre": genres[column], "songs": n, "of": total} for column, n in counts.most_common(_SHOWN)]


def explanation(evidence: Evidence, confidence: float, *, outcome: str) -> str:
    """Return the evidence as a sentence: "sounds like Doom Metal 0.61; 9 of 10 songs of the album are Doom Metal"."""
    parts = []
    for kind, words in (("sound", "sounds like"), ("learned", "compared with your songs,")):
        if evidence.get(kind):
            best = evidence[kind][0]
            parts.append(f"{words} {best['genre']} {best['score']:.2f}")
    for kind in ("artist", "album"):
        if evidence.get(kind):
            best = evidence[kind][0]
            verb = "is" if best["songs"] == 1 else "are"
            parts.append(f"{best['songs']} of {counted(best['of'], 'other song')} of the {kind} {verb} {best['genre']}")
    if evidence.get("whole_album"):
        best = evidence["whole_album"][0]
        parts.append(f"the album as a whole sounds like {best['genre']} {best['score']:.2f}")
    return "; ".join([*parts, f"{outcome} at {confidence:.2f}"])
