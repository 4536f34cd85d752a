"""Whether a file's genre may be written, as one pure function.

A file that has a genre is left alone unless asked; an unsure decision is never written; if a genre that this program
wrote was undone, removed or changed since, none is written again unless forced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from genrify_tagger.config import TaggingSettings
from genrify_tagger.decision import Decision
from genrify_tagger.pipeline.results import FORCE_HINT


class Provenance(Enum):
    """How the genre in a file came about, according to the journal."""

    NOT_WRITTEN = "not written by this program"
    WRITTEN_BY_PROGRAM = "as this program wrote it"
    SET_BY_HAND = "set by hand"
    UNDONE = "undone"
    CHANGED_SINCE = "changed by another program since this one wrote it"


def stricter(one: Provenance, other: Provenance) -> Provenance:
    """Return the one of two provenances that forbids more."""
    order = (
        Provenance.SET_BY_HAND,
        Provenance.UNDONE,
        Provenance.CHANGED_SINCE,
        Provenance.WRITTEN_BY_PROGRAM,
        Provenance.NOT_WRITTEN,
    )
    return min(one, other, key=order.index)


@dataclass(frozen=True)
class WriteDecision:
    """Whether to write, and what.

    Attributes
    ----------
    status : str
        "tagged" (write `genres`), "kept", "unsure" or "skipped".
    genres : tuple of str
        The genres to write, as written names; for "tagged" only.
    reason : str or None
        Why nothing is written.
    """

    status: str
    genres: tuple[str, ...] = ()
    reason: str | None = None


def decide_write(
    present: Sequence[str],
    decision: Decision,
    names: Sequence[str],
    provenance: Provenance,
    rules: TaggingSettings,
    *,
    force: bool = False,
    reanalyse: bool = False,
) -> WriteDecision:
    """Decide whether to write a genre into a file, and which.

    Parameters
    ----------
    present : sequence of str
        Genres in the file.
    decision : Decision
        What the analysis says.
    names : sequence of str
        The decision's genres as names to write.
    provenance : Provenance
        How the present genre came to be.
    rules : TaggingSettings
        The user's settings.
    force : bool
        Write even where a genre that this program wrote was undone, removed or changed; not over one set by hand.
    reanalyse : bool
        Let a new analysis replace a genre that this program wrote.
    """
    existing = meaningful(present, rules.treat_as_missing)
    if provenance is Provenance.SET_BY_HAND:
        return WriteDecision("kept", reason="set by hand")
    protected = protected_genre(existing, rules.protected)
    if protected is not None:
        return WriteDecision("skipped", reason=f"{protected} is a protected genre")
    if provenance is Provenance.CHANGED_SINCE and rules.changed == "ignore":
        provenance = Provenance.NOT_WRITTEN
    if provenance in (Provenance.UNDONE, Provenance.CHANGED_SINCE) and not force:
        what = "undone" if provenance is Provenance.UNDONE else "changed" if existing else "removed"
        return WriteDecision("kept" if existing else "skipped", reason=respected_reason(what, existing, rules))
    renews = _renews(provenance, force=force, reanalyse=reanalyse)
    if existing and rules.existing == "keep" and not renews:
        return WriteDecision(
            "kept", reason="tagged earlier" if provenance is Provenance.WRITTEN_BY_PROGRAM else "has a genre"
        )
    if not names:
        return WriteDecision("kept" if existing else "unsure", reason=decision.reason)
    wanted = tuple(names)
    if rules.existing == "merge" and not renews:
        wanted = _merged(existing, names)
    if [g.casefold() for g in wanted] == [g.casefold() for g in present]:
        return WriteDecision("kept", reason="already has this genre")
    return WriteDecision("tagged", wanted)


def respected_reason(what: str, existing: Sequence[str], rules: TaggingSettings) -> str:
    """Return the reason to leave a file alone whose genre was undone, changed or removed, and what would not."""
    hint = "" if existing and rules.existing == "keep" else f"; {FORCE_HINT}"
    return f"its genre was {what} since{hint}"


def stays(
    existing: Sequence[str],
    provenance: Provenance,
    rules: TaggingSettings,
    *,
    force: bool = False,
    reanalyse: bool = False,
) -> bool:
    """Return whether a file's genres stay as they are, whatever a decision says; see `decide_write`."""
    if not existing:
        return False
    if provenance is Provenance.SET_BY_HAND or protected_genre(existing, rules.protected) is not None:
        return True
    return rules.existing == "keep" and not _renews(provenance, force=force, reanalyse=reanalyse)


def _renews(provenance: Provenance, *, force: bool, reanalyse: bool) -> bool:
    return provenance is Provenance.WRITTEN_BY_PROGRAM and (reanalyse or force)


def meaningful(genres: Sequence[str], junk: Sequence[str]) -> tuple[str, ...]:
    """Return the genres without those that count as no genre."""
    ignored = {word.casefold() for word in junk}
    return tuple(g for g in genres if g.strip().casefold() not in ignored)


def protected_genre(genres: Sequence[str], protected: Sequence[str]) -> str | None:
    """Return the first of `genres` that is protected, in any case; None if there is none."""
    names = {name.casefold() for name in protected}
    return next((g for g in genres if g.casefold() in names), None)


def _merged(existing: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    have = {g.casefold() for g in existing}
    return (*existing, *(g for g in names if g.casefold() not in have))
