"""Verify a new file before it replaces the old one: the genre is the planned one, and nothing else changed.

The new file is read twice: by this package's own code, and by mutagen, which shares none of it (`mutagen_check`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from genrify_tagger.errors import WriteRefusedError
from genrify_tagger.tags.containers import open_state
from genrify_tagger.tags.model import TagState, WritePlan, same_pieces
from genrify_tagger.tags.open_file import with_open
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.planning import check_outcome, snapshot

if TYPE_CHECKING:
    from genrify_tagger.tags.mutagen_check import Comparison


def verify_new_file(plan: WritePlan, path: str, compare: Callable[[str, str, str, str], Comparison]) -> None:
    """Compare a finished file with the plan and the original.

    Parameters
    ----------
    plan : WritePlan
        What was planned.
    path : str
        The new file.
    compare : callable
        `mutagen_check.compare_fields`, or a function that runs it in another process.

    Raises
    ------
    WriteRefusedError
        If anything differs that should not.
    """
    with_open(
        path,
        lambda new: with_open(plan.target, lambda old: _check_own_reading(plan, PatchedFile(old), PatchedFile(new))),
    )
    match compare(plan.before.container, plan.field, plan.target, path):
        case "damaged":
            words = "mutagen cannot read them, so it cannot be verified that nothing else changes"
            raise WriteRefusedError(f"the file's tags are damaged: {words}")
        case "other":
            raise WriteRefusedError("writing the genre would change other tags of the file (as mutagen reads them)")


def _check_own_reading(plan: WritePlan, old: PatchedFile, new: PatchedFile) -> None:
    before, after = _state(old, plan), _state(new, plan)
    check_outcome(before, after, plan.after.genres)
    if not same_pieces(snapshot(after, plan.field).raw, plan.after.raw):
        raise WriteRefusedError("the genre read back is not the one that was written")


def _state(view: PatchedFile, plan: WritePlan) -> TagState:
    return open_state(view, plan.field, plan.target)
