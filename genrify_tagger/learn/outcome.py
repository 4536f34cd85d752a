"""What was learned from the library, and what it would mean for the songs that have no genre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import mul
from typing import Any

from genrify_tagger.files import counted
from genrify_tagger.learned_vocabulary import LearnedVocabulary
from genrify_tagger.pipeline import Session


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned.

    Attributes
    ----------
    vocabulary : LearnedVocabulary or None
        None if there is too little to learn from.
    report : mapping
        What `learn --format json` prints; `in_use` says whether it is better than the shipped vocabulary.
    left_out : mapping of str to str
        Genres that were not learned, and why.
    untagged : int
        Songs without a genre.
    filled : pair of int
        How many of them would get one, by whether other songs of their artist or album have none or some.
    measured : pair of (right, written)
        Of the held-out songs, likewise; zeros where too few could be judged.
    outdated : int
        Songs left out because an earlier version stored too little of their sound.
    """

    vocabulary: LearnedVocabulary | None
    report: Mapping[str, Any]
    left_out: Mapping[str, str]
    untagged: int = 0
    filled: tuple[int, int] = (0, 0)
    measured: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    outdated: int = 0

    @property
    def summary(self) -> str:
        """What it would mean for the songs that have no genre, by songs that were held out; or why it is not used."""
        sample = self.report["sample"]
        note = f" Learned from a sample: {sample['songs']:,} of {sample['of']:,} songs." if sample else ""
        return self._meaning() + note

    def _meaning(self) -> str:
        if not self.report["in_use"]:
            return f"Not put to use: {self.report['reason']}."
        would = "A song that gets a genre should get"
        if self.untagged:
            would = f"Of {counted(self.untagged, 'song')} without a genre, {sum(self.filled):,} would get one:"
        (new_right, new), (old_right, old) = self.measured
        cases = f"{new_right:,} of {new:,} right for new artists" if new else "nothing written for new artists"
        if old:
            cases += f", {old_right:,} of {old:,} right where other songs of the artist have a genre"
        songs = self.report["held_out"]["songs"]
        return (
            f"{would} the right one in {self._expected():.0%} of cases. Measured on {songs:,} of your songs, judged as "
            f"if they had none: {cases}."
        )

    def _expected(self) -> float:
        """Return which share of the songs that would get a genre is right."""
        shares = [right / written for right, written in self.measured if written]
        known = [number for number, (_, written) in zip(self.filled, self.measured, strict=True) if written]
        return sum(map(mul, shares, known)) / sum(known) if sum(known) else sum(shares) / len(shares)


def save_vocabulary(session: Session, name: str, learned: Learned) -> None:
    """Save what was learned, if anything was, and put it to use if it is better than the shipped vocabulary."""
    if learned.vocabulary is not None:
        in_use = bool(learned.report["in_use"])
        session.store.save_vocabulary(name, learned.vocabulary.as_bytes(), in_use=in_use)
