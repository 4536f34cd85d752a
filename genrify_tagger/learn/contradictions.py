"""Songs whose genre contradicts what the rest of the library says of them, the most surprising first.

Each song is judged by heads trained without it and its artist, and by the genres of the other songs of its artist and
album; nothing is written. What was set or kept by hand is not doubted. A library that would not fit in memory is
divided into parts, whole artists each, and a song is compared with those of its part.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genrify_tagger.decision.evidence import KNOWN, STRANGER, join_evidence
from genrify_tagger.files import counted
from genrify_tagger.learn.held_out import Songs, has_tagged_company, held_out_evidence, tag_evidence
from genrify_tagger.learn.learning import fit_regime
from genrify_tagger.learn.library import read_library
from genrify_tagger.learn.sample import MOST_SONGS, Choice, parts
from genrify_tagger.pipeline import Session
from genrify_tagger.pipeline.manual import REASON as SET_BY_HAND

log = logging.getLogger(__name__)

_MOST_LOG_ODDS = 14.0  # beyond a million to one, numbers mean nothing


@dataclass(frozen=True)
class Contradiction:
    """A file whose genre the rest of the library contradicts.

    Attributes
    ----------
    path, audio_key : str
        The file, and its song.
    genres : tuple of str
        In the file.
    expected : str
        The likeliest genre.
    log_odds : float
        Natural logarithm of how many times likelier that is than the file's own.
    """

    path: str
    audio_key: str
    genres: tuple[str, ...]
    expected: str
    log_odds: float

    @property
    def odds(self) -> str:
        """The odds as they are shown: "12:1"."""
        odds = math.exp(min(self.log_odds, _MOST_LOG_ODDS))
        return f"{odds:,.0f}:1" if odds >= 10 else f"{odds:.1f}:1"


def find_contradictions(
    session: Session,
    paths: Sequence[str] = (),
    *,
    on_step: Callable[[str], None] = lambda step: None,
    most_songs: int = MOST_SONGS,
) -> list[Contradiction]:
    """Return all songs whose genre is not the likeliest, the most surprising first.

    Parameters
    ----------
    session : Session
    paths : sequence of str
        Files and folders whose songs count; empty for all.
    on_step : callable
        Called with what is about to be done.
    most_songs : int
        A library with more of them is divided into parts.

    Raises
    ------
    GenrifyError
        If the session's model has no genre tree.
    """
    found: list[Contradiction] = []
    in_parts = parts(session, most=most_songs)
    if len(in_parts) > 1:
        number_of_parts = counted(len(in_parts), "part")
        log.info("auditing in %s of whole artists, since all songs would need too much memory", number_of_parts)
    for number, chosen in enumerate(in_parts, start=1):
        which = f" (part {number} of {len(in_parts)})" if len(in_parts) > 1 else ""
        found += _find_in(session, paths, chosen, lambda step, which=which: on_step(step + which))  # type: ignore[misc]
    return sorted(found, key=lambda one: -one.log_odds)


def _find_in(
    session: Session, paths: Sequence[str], chosen: Choice, on_step: Callable[[str], None]
) -> list[Contradiction]:
    on_step("reading the library")
    library = read_library(session, paths, chosen=chosen)
    if len(library.genres) < 2:
        return []
    odds, best = surprise(library.songs, session.settings.tagging.precision, on_step)
    doubted = [n for n in map(int, np.flatnonzero(odds > 0)) if library.rows[n].reason != SET_BY_HAND]
    return [
        Contradiction(row.path, str(row.audio_key), row.after, library.genres[int(best[n])], float(odds[n]))
        for n in doubted
        for row in [library.rows[n]]
    ]


def surprise(
    songs: Songs, precision: float, on_step: Callable[[str], None] = lambda step: None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds of the likeliest genre against each song's own, and which that is; 0 without a genre."""
    on_step("comparing each song with those of other artists")
    evidence = held_out_evidence(songs, STRANGER)
    sound, none = evidence[:-3], evidence[-3:]
    strangers = fit_regime(songs, STRANGER, precision, evidence=evidence)
    on_step("comparing each song with its artist and album")
    company = fit_regime(songs, KNOWN, precision, otherwise=strangers)
    alone = join_evidence([*sound, *none], strangers.weights)
    joined = join_evidence([*sound, *tag_evidence(songs)], company.weights)
    found = np.where(has_tagged_company(songs)[:, np.newaxis], joined, alone)
    own = np.where(songs.allowed, found, 0).max(axis=1)
    odds = np.log(found.max(axis=1) + 1e-12) - np.log(own + 1e-12)
    return np.where(songs.trained, odds, 0.0), found.argmax(axis=1)
