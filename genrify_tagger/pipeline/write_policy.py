"""Whether a file's genre may be written: DESIGN's rules 1, 2 and 4 as one pure function.

A file that already has a genre is left alone unless asked; what is unsure is never written; and where a genre of
ours was undone, removed or changed by anyone else, nothing is written again unless forced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from genrify_tagger.config import TaggingSettings
from genrify_tagger.decision import Decision


class Provenance(Enum):
    """What the journal knows of a file's genre."""

    UNTOUCHED = "never written by us"
    OURS = "as we wrote it"
    HUMAN = "set by hand"
    UNDONE = "taken back"
    FOREIGN = "changed by someone else since we wrote it"


def stricter(one: Provenance, other: Provenance) -> Provenance:
    """Return which of two accounts of a genre's past forbids more."""
    order = (Provenance.HUMAN, Provenance.UNDONE, Provenance.FOREIGN, Provenance.OURS, Provenance.UNTOUCHED)
    return min(one, other, key=order.index)


@dataclass(frozen=True)
class WriteDecision:
    """What to do with a file.

    Attributes
    ----------
    status : str
        "tagged" (write `genres`), "kept", "unsure" or "skipped".
    genres : tuple of str
        What the file shall say, as written names; meaningful for "tagged" only.
    reason : str or None
        Why not written, in plain words.
    """

    status: str
    genres: tuple[str, ...] = ()
    reason: str | None = None


def decide_write(
    present: Sequence[str],
    decision: Decision,
    heard: Sequence[str],
    past: Provenance,
    rules: TaggingSettings,
    *,
    force: bool = False,
    reanalyse: bool = False,
) -> WriteDecision:
    """Decide what becomes of a file.

    Parameters
    ----------
    present : sequence of str
        Genres in the file.
    decision : Decision
        What was heard.
    heard : sequence of str
        The decision's genres as names to write.
    past : Past
        What the journal knows.
    rules : TaggingSettings
        The user's settings.
    force : bool
        Write even where a genre of ours was undone, removed or changed. Never overrules what a human set.
    reanalyse : bool
        Let a new hearing replace a genre that we wrote ourselves.
    """
    existing = meaningful(present, rules.treat_as_missing)
    if past is Provenance.HUMAN:
        return WriteDecision("kept", reason="set by hand")
    guarded = _protected(existing, rules.protected)
    if guarded is not None:
        return WriteDecision("skipped", reason=f"{guarded} is a protected genre")
    if past in (Provenance.UNDONE, Provenance.FOREIGN) and not force:
        word = "undone" if past is Provenance.UNDONE else "changed or removed by someone else"
        reason = f"its genre was {word} since; --force writes again"
        return WriteDecision("kept" if existing else "skipped", reason=reason)
    replace_ours = past is Provenance.OURS and (reanalyse or force)
    if existing and rules.existing == "keep" and not replace_ours:
        return WriteDecision("kept", reason="tagged earlier" if past is Provenance.OURS else "has a genre")
    if not heard:
        return WriteDecision("kept" if existing else "unsure", reason=decision.reason)
    wanted = tuple(heard)
    if rules.existing == "merge" and not replace_ours:
        wanted = _merged(existing, heard)
    if [g.casefold() for g in wanted] == [g.casefold() for g in present]:
        return WriteDecision("kept", reason="says so already")
    return WriteDecision("tagged", wanted)


def meaningful(genres: Sequence[str], junk: Sequence[str]) -> tuple[str, ...]:
    """Return the genres that say something: without those that count as none."""
    ignored = {word.casefold() for word in junk}
    return tuple(g for g in genres if g.strip().casefold() not in ignored)


def _protected(genres: Sequence[str], protected: Sequence[str]) -> str | None:
    shielded = {word.casefold() for word in protected}
    return next((g for g in genres if g.casefold() in shielded), None)


def _merged(existing: Sequence[str], heard: Sequence[str]) -> tuple[str, ...]:
    have = {g.casefold() for g in existing}
    return (*existing, *(g for g in heard if g.casefold() not in have))
