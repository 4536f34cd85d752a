"""What became of one file, and how that is told to other programs (JSON Lines, schema 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genrify_tagger.files import json_path

SCHEMA = 1
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
        Why, in plain words, where the status alone does not say it.
    genres : tuple of str
        What was heard, as written names; empty when unsure or not heard.
    guess : str or None
        What is likeliest, as a written name, sure or not; None if nothing was heard or nobody is told.
    confidence : float or None
        Calibrated probability that the guess is right.
    scores : mapping of str to float
        Every label of the vocabulary.
    vocabulary, model : str
        By which labels and which model.
    before, after : tuple of str
        The genres in the file before and after (in a dry run: as they would be).
    cached : bool
        Whether the song was not listened to this time.
    duration : float or None
        Seconds of audio.
    error : str or None
        What went wrong, for a failed file.
    passing : bool
        Whether the failure may be over soon: another program changed the file, the disk was full or away.
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
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cached: bool = False
    duration: float | None = None
    model: str = ""
    error: str | None = None
    passing: bool = False
    listed: bool = True

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
        }


class Summary(Counter[str]):
    """How many files came out with which status."""

    def add(self, result: Result) -> Result:
        """Count a result and hand it on."""
        self[result.status] += 1
        return result
