"""The outcome for one file, and its form for other programs (JSON Lines, schema 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import json_path

SCHEMA = 1
FORCE_HINT = "--force writes again"
STATUSES = ("tagged", "kept", "unsure", "unchanged", "skipped", "failed")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome for one file.

    Attributes
    ----------
    path : str
        The file, as `os.fsdecode` gives it.
    status : str
        One of STATUSES.
    reason : str or None
        Why, where the status alone does not say it.
    genres : tuple of str
        The decided genres, as written names; empty if unsure or not analysed.
    guess : str or None
        The likeliest genre as a written name, sure or not; None without an analysis.
    confidence : float or None
        Calibrated probability that the guess is right.
    scores : mapping of str to float
        Every label of the vocabulary.
    vocabulary, model : str
        The vocabulary and the model used.
    tree : tuple of str
        Names in the genre tree from the top genre to the one decided on; empty if unsure or without a tree.
    nodes : tuple of (str, float) pairs
        In a genre tree: written names of the likeliest top genre and its likeliest child, with the confidence in each.
    evidence : mapping
        With a vocabulary learned from the library: why; see `pipeline.library_evidence`.
    before, after : tuple of str
        The genres in the file before and after (in a dry run: as they would be).
    cached : bool
        Whether the analysis came from the store.
    duration : float or None
        Seconds of audio.
    error : str or None
        What went wrong, for a failed file.
    passing : bool
        Whether the failure may pass by itself: another program changed the file, the disk was full or away.
    listed : bool
        Whether the store knows the file, so that `status --list` can name it.
    """

    path: str
    status: str
    reason: str | None = None
    genres: tuple[str, ...] = ()
    guess: str | None = None
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    vocabulary: str = ""
    tree: tuple[str, ...] = ()
    nodes: tuple[tuple[str, float], ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cached: bool = False
    duration: float | None = None
    model: str = ""
    error: str | None = None
    passing: bool = False
    listed: bool = True

    @property
    def withheld(self) -> bool:
        """Whether no genre was written, now or in an earlier scan, because one was undone, removed or changed."""
        return is_withheld(self.reason)

    @property
    def path_written(self) -> tuple[str, ...]:
        """Names from the top genre of the tree to the most specific genre; without a tree, the first genre alone."""
        return self.tree if self.tree[-1:] == self.genres[:1] else self.genres[:1]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `scan --format jsonl` prints for this file."""
        return {
            "schema": SCHEMA,
            **json_path(self.path),
            "status": self.status,
            "reason": self.reason,
            "genres": list(self.genres),
            "confidence": self.confidence,
            "scores": dict(self.scores),
            "vocabulary": self.vocabulary,
            "before": list(self.before),
            "after": list(self.after),
            "cached": self.cached,
            "duration": self.duration,
            "model": self.model,
            "error": self.error,
            "tree": list(self.tree),
            **({"evidence": dict(self.evidence)} if self.evidence else {}),
        }


def is_withheld(reason: str | None) -> bool:
    """Tell whether a reason is that a genre was undone, removed or changed; see `Result.withheld`."""
    return reason is not None and reason.endswith(FORCE_HINT)


def describe_nodes(nodes: Sequence[tuple[str, float]], written: Sequence[str]) -> str:
    """Say how likely the nodes of a genre tree are and which of them is written, the top genre first.

    >>> describe_nodes([("Rock", 0.97), ("Metal", 0.62)], ["Rock"])
    'Rock 0.97 > Metal 0.62: Rock is written'
    """
    likely = " > ".join(f"{name} {confidence:.2f}" for name, confidence in nodes)
    names = " and ".join(reversed(written)) or "nothing"
    return f"{likely}: {names} {'are' if len(written) > 1 else 'is'} written"


class Summary(Counter[str]):
    """How many files have which status."""

    def add(self, result: Result) -> Result:
        """Count a result and return it."""
        self[result.status] += 1
        return result


def error_text(error: GenrifyError | OSError) -> str:
    """Return an error's message for the user, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
