"""Learn a vocabulary: heads, weights of evidence, calibration and threshold; and judge it on held-out songs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genrify_tagger.analysis import FloatArray
from genrify_tagger.decision import decide_by_scores, node_scores
from genrify_tagger.decision.evidence import KNOWN, STRANGER, confidence_of, join_evidence, likeliest_wider
from genrify_tagger.files import real_path
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.learn.evidence_fit import calibrated, choose_threshold, fit_weights
from genrify_tagger.learn.held_out import (
    Array,
    Mask,
    Songs,
    has_tagged_company,
    held_out_evidence,
    sound_evidence,
    tag_evidence,
    train_heads,
)
from genrify_tagger.learn.library import Library, count_teaching_files, read_library
from genrify_tagger.learn.outcome import Learned
from genrify_tagger.learn.sample import MOST_SONGS, sample
from genrify_tagger.learn.wider import WiderFit, fit_wider
from genrify_tagger.learned_vocabulary import KINDS, LearnedVocabulary
from genrify_tagger.pipeline import Session

MIN_TRAINED = 30  # songs with genres that can be learned
_MIN_FITTED = 30  # songs from which on evidence of artists and albums is weighed by itself
_MARGIN = 0.05  # below the wanted precision, from which on the shipped vocabulary is no rival
_CHANCE = 0.55  # area under the ROC curve up to which a genre counts as not told from others


@dataclass(frozen=True, eq=False)
class Regime:
    """How evidence is joined for one kind of song, and how that did on held-out songs.

    Attributes
    ----------
    weights : ndarray, shape (n_kinds,)
    slope, bias, threshold : float
    best : ndarray of int
        Column of the best genre of each judged song.
    probabilities : ndarray, shape (n_judged, n_genres)
    written, right : ndarray of bool
        Whether it would be written, and whether it is right.
    rows : ndarray of bool, shape (n,)
        Which songs were judged.
    """

    weights: Array
    slope: float
    bias: float
    threshold: float
    best: Any
    probabilities: Array
    written: Mask
    right: Mask
    rows: Mask

    @property
    def precision(self) -> float:
        """Share of right ones among those written; 0 if none is."""
        return float(self.right[self.written].mean()) if self.written.any() else 0.0


def learn_vocabulary(
    session: Session,
    name: str,
    paths: Sequence[str] = (),
    *,
    on_step: Callable[[str], None] = lambda step: None,
    most_songs: int = MOST_SONGS,
) -> Learned:
    """Learn from the library.

    Parameters
    ----------
    session : Session
    name : str
        Of the vocabulary, for the report.
    paths : sequence of str
        Files and folders whose songs teach; empty for all.
    on_step : callable
        Called with what is about to be done.
    most_songs : int
        Of a library with more of them, a sample is learned from.

    Raises
    ------
    GenrifyError
        If the session's model has no genre tree.
    """
    on_step("reading the library")
    chosen = sample(session, [real_path(path) for path in paths], most=most_songs)
    library = read_library(session, paths, chosen=chosen)
    if len(library.genres) < 2 or library.songs.trained.sum() < MIN_TRAINED:
        return _nothing(name, library)
    precision = session.settings.tagging.precision
    on_step("learning the sound of each genre")
    strangers = fit_regime(library.songs, STRANGER, precision)
    confused = _contradictory(library, strangers)
    if confused:
        library = read_library(session, paths, without=confused, chosen=chosen)
        if len(library.genres) < 2:
            return _nothing(name, library)
        strangers = fit_regime(library.songs, STRANGER, precision)
    on_step("weighing what artist and album say")
    company = fit_regime(library.songs, KNOWN, precision, otherwise=strangers)
    return _learned(session, name, library, (strangers, company), is_whole=not paths)


def fit_regime(
    songs: Songs,
    regime: int,
    precision: float,
    *,
    otherwise: Regime | None = None,
    evidence: Sequence[FloatArray] | None = None,
) -> Regime:
    """Fit weights, calibration and threshold for one kind of song, each song judged by what did not meet it.

    With too few songs, return `otherwise` without the genres of other songs. `evidence` is what `held_out_evidence`
    returned for these songs and this regime, if the caller has it.
    """
    judged = songs.judged & has_tagged_company(songs) if regime == KNOWN else songs.judged
    if otherwise is not None and (judged & songs.trained).sum() < _MIN_FITTED:
        is_of_others = np.isin(KINDS, ["artist", "album"])
        return replace(otherwise, weights=np.where(is_of_others, 0.0, otherwise.weights))
    if evidence is None:
        evidence = held_out_evidence(songs, regime)
    trained = judged & songs.trained
    weights = fit_weights([kind[trained] for kind in evidence], songs.allowed[trained], songs.weights[trained])
    probabilities = join_evidence([kind[judged] for kind in evidence], weights)
    best = probabilities.argmax(axis=1)
    right = songs.allowed[judged][np.arange(len(best)), best]
    slope, bias, confidence = calibrated(probabilities, right, songs.weights[judged])
    threshold = choose_threshold(confidence, right, precision)
    written = confidence >= threshold
    return Regime(weights, slope, bias, threshold, best, probabilities, written, right, judged)


def _contradictory(library: Library, strangers: Regime) -> dict[str, str]:
    """Return the genres whose held-out songs sound no more like them than other songs do."""
    found = {}
    truth = library.songs.allowed[strangers.rows]
    for column, genre in enumerate(library.genres):
        scores, is_genre = strangers.probabilities[:, column], truth[:, column]
        ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1.0
        inside, outside = int(is_genre.sum()), int((~is_genre).sum())
        if inside and outside:
            area = (ranks[is_genre].sum() - inside * (inside + 1) / 2) / (inside * outside)
            if area < _CHANCE:
                found[genre] = "its songs contradict each other: they sound no more alike than any"
    return found


def _learned(
    session: Session, name: str, library: Library, regimes: tuple[Regime, Regime], *, is_whole: bool
) -> Learned:
    songs, strangers = library.songs, regimes[STRANGER]
    precision = session.settings.tagging.precision
    heads = train_heads(songs)
    wider = [_fit_wider(library, regime, precision) for regime in regimes]
    reason = _why_not(_shipped_outcome(session, library), _mixed_outcome(songs, regimes, wider), precision)
    report = {
        **_material(name, library),
        "genres": _by_genre(library, strangers),
        "held_out": {"songs": len(strangers.right), **_outcome(strangers, wider[STRANGER])},
        "threshold": round(strangers.threshold, 4),
        "in_use": reason is None,
        "reason": reason,
    }
    assert session.model_tree.head is not None
    vocabulary = LearnedVocabulary(
        genres=library.genres,
        model=session.model_tree.id,
        front_end=session.front_end,
        leaf_genres=heads.leaf_genres,
        coarse_weights=heads.coarse.weights,
        coarse_bias=heads.coarse.bias,
        fine_weights=heads.fine.weights,
        fine_bias=heads.fine.bias,
        frequencies=songs.frequencies,
        evidence_weights=np.stack([regime.weights for regime in regimes]),
        slopes=np.array([regime.slope for regime in regimes]),
        biases=np.array([regime.bias for regime in regimes]),
        thresholds=np.array([regime.threshold for regime in regimes]),
        folded=library.folded,
        wider=library.wider.by_genre,
        wider_slopes=np.array([fit.slope for fit in wider]),
        wider_biases=np.array([fit.bias for fit in wider]),
        wider_thresholds=np.array([fit.threshold for fit in wider]),
        report={**report, "songs_with_genre": count_teaching_files(session), "whole_library": is_whole},
    )
    filled = _would_fill(library, vocabulary, sound_evidence(songs, heads, np.ones(len(library.rows), bool)))
    outcomes = [_outcome(regime, fit) for regime, fit in zip(regimes, wider, strict=True)]
    if regimes[KNOWN].rows is strangers.rows:  # too few had others of their artist to be judged: see `fit_regime`
        outcomes[KNOWN] = {"right": 0, "written": 0}
    measured = tuple((outcome["right"], outcome["written"]) for outcome in outcomes)
    return Learned(
        vocabulary,
        report,
        library.left_out,
        len(library.untagged),
        filled,
        (measured[0], measured[1]),
        library.outdated,
    )


def _fit_wider(library: Library, regime: Regime, precision: float) -> WiderFit:
    allowed, weights = library.wider.allowed[regime.rows], library.songs.weights[regime.rows]
    return fit_wider(library.wider, regime.probabilities, ~regime.written, allowed, weights, precision)


def _outcome(regime: Regime, wider: WiderFit, chosen: Mask | None = None) -> dict[str, int]:
    """Return how many songs, all judged ones or some, would get a genre or a wider one, and how many the right one."""
    rows = np.ones(len(regime.written), bool) if chosen is None else chosen
    written = (regime.written | wider.written) & rows
    right = ((regime.right & regime.written) | wider.right) & rows
    return {"written": int(written.sum()), "right": int(right.sum())}


def _would_fill(library: Library, vocabulary: LearnedVocabulary, sound: Sequence[FloatArray]) -> tuple[int, int]:
    """Return how many songs without a genre would get one, strangers and known ones."""
    rows = library.untagged
    evidence = [kind[rows] for kind in (*sound, *tag_evidence(library.songs))]
    known = has_tagged_company(library.songs)[rows]
    found = []
    for regime in (STRANGER, KNOWN):
        chosen = known == (regime == KNOWN)
        joined = join_evidence([kind[chosen] for kind in evidence], vocabulary.evidence_weights[regime])
        confidence = confidence_of(joined, vocabulary.slopes[regime], vocabulary.biases[regime])
        _, wider_confidence = likeliest_wider(joined, regime, vocabulary)
        is_sure = confidence >= vocabulary.thresholds[regime]
        found.append(int((is_sure | (wider_confidence >= vocabulary.wider_thresholds[regime])).sum()))
    return found[STRANGER], found[KNOWN]


def _mixed_outcome(songs: Songs, regimes: tuple[Regime, Regime], wider: Sequence[WiderFit]) -> tuple[int, int]:
    """Return (right, written) of all judged songs, each held out as it is: with or without company."""
    has_company = has_tagged_company(songs)
    right = written = 0
    for number, (regime, fit) in enumerate(zip(regimes, wider, strict=True)):
        outcome = _outcome(regime, fit, has_company[regime.rows] == (number == KNOWN))
        right += outcome["right"]
        written += outcome["written"]
    return right, written


def _shipped_outcome(session: Session, library: Library) -> tuple[int, int]:
    """Return (right, written) of the shipped tree on the same songs; a wider genre counts as right."""
    head, vocabulary = session.model_tree.head, session.model_tree.vocabulary
    assert head is not None
    assert vocabulary is not None
    scores = node_scores(library.songs.leaf_probabilities, head.leaves, vocabulary.labels, head.parents)
    right = written = 0
    for number in map(int, np.flatnonzero(library.songs.judged)):
        genres = decide_by_scores(scores[number], head.parents, vocabulary).genres
        if genres:
            names = library.named[number]
            above = {spelling(one) for name in names for one in (name, *session.words.tree.get(spelling(name), ()))}
            written += 1
            right += spelling(vocabulary.names[genres[0]]) in above
    return right, written


def _why_not(shipped: tuple[int, int], learned: tuple[int, int], precision: float) -> str | None:
    """Return why what was learned is not put to use; None if it is."""
    if not learned[1]:
        return f"on held-out songs no confidence is high enough for {precision:.0%} to be right"
    is_careless = shipped[1] > 0 and shipped[0] / shipped[1] < precision - _MARGIN
    if learned[0] <= shipped[0] and not is_careless:
        rival = f"{shipped[0]:,} of {shipped[1]:,} right, what was learned {learned[0]:,} of {learned[1]:,}"
        return f"not better than the shipped vocabulary on held-out songs: that has {rival}"
    return None


def _by_genre(library: Library, strangers: Regime) -> list[dict[str, Any]]:
    songs = library.songs
    truth = songs.allowed[strangers.rows]
    found = []
    for column, genre in enumerate(library.genres):
        claimed = strangers.written & (strangers.best == column)
        own = truth[:, column]
        members = songs.genres == column
        found.append(
            {
                "name": genre,
                "songs": int(members.sum()),
                "artists": len(np.unique(songs.artists[members])),
                "precision": round(float(strangers.right[claimed].mean()), 4) if claimed.any() else None,
                "coverage": round(float(strangers.written[own].mean()), 4) if own.any() else None,
            }
        )
    return found


def _material(name: str, library: Library) -> dict[str, Any]:
    """Return the beginning of every report: what there was to learn from."""
    songs = library.songs
    return {
        "vocabulary": name,
        "songs": int(songs.trained.sum()),
        "artists": len(np.unique(songs.artists[songs.trained & (songs.artists >= 0)])),
        "sample": library.sample_of and {"songs": len(library.rows), "of": library.sample_of},
    }


def _nothing(name: str, library: Library) -> Learned:
    reason = "no song was analysed yet; scan the library first"
    if len(library.rows) or library.outdated:
        reason = (
            "not enough examples: two genres of eight songs and three artists each are needed, and thirty songs in all"
        )
    report = {
        **_material(name, library),
        "genres": [],
        "held_out": {"songs": 0, "written": 0, "right": 0},
        "threshold": None,
        "in_use": False,
        "reason": reason,
    }
    return Learned(None, report, library.left_out, len(library.untagged), outdated=library.outdated)
