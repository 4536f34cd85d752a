"""Say what became of a change that was journalled but not finished, and clear up after it."""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from genrify_tagger.errors import TagError
from genrify_tagger.tags.inplace import BLOCK, copy_content, same_content
from genrify_tagger.tags.model import same_genre, same_pieces
from genrify_tagger.tags.planning import plan_restore, read, with_open
from genrify_tagger.tags.scratch import backup_name, sync_folder
from genrify_tagger.tags.view import View

Outcome = Literal["before", "after", "other"]
_PAGE = 4096


def recover(
    path: str,
    before_raw: bytes | None,
    after_raw: bytes | None,
    backup: str | None = None,
    *,
    field: str = "genre",
) -> Outcome:
    """Say whether a pending change of a file was made.

    Parameters
    ----------
    path : str
        The file.
    before_raw, after_raw : bytes or None
        As journalled.
    backup : str or None
        Where the full copy of a write in place is, if there was to be one (`backup_path`). A half-written file is put
        back as the copy has it. The copy is removed once it is not needed; where it is unclear, it stays.
    field : str
        As journalled.

    Returns
    -------
    {"before", "after", "other"}
        What the file holds. "other" if someone else changed it since, or it cannot be read.
    """
    if backup is not None and os.path.isfile(backup) and not _settle_in_place(path, after_raw, backup, field):
        return "other"
    try:
        now = read(path, field=field).raw
    except TagError:
        return "other"
    for same in (same_pieces, same_genre):
        if same(now, after_raw):
            return "after"
        if same(now, before_raw):
            return "before"
    return "other"


def _settle_in_place(path: str, after_raw: bytes | None, backup: str, field: str) -> bool:
    """Make a file that was being rewritten in place whole again; return False if it is not that file's copy."""
    target = os.path.realpath(path)
    try:
        descriptor = os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        copy = os.open(backup, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        inode = os.fstat(descriptor).st_ino
        if os.path.basename(backup) != backup_name(target, inode):
            return False
        if not same_content(copy, descriptor) and not _is_complete(descriptor, after_raw, backup, field):
            if not _is_mixture(descriptor, after_raw, backup, field):
                return False
            copy_content(copy, descriptor)
            os.fsync(descriptor)
    except (OSError, TagError):
        return False
    finally:
        os.close(descriptor)
        os.close(copy)
    with contextlib.suppress(OSError):
        os.unlink(backup)
        sync_folder(os.path.dirname(backup))
    return True


def _is_complete(descriptor: int, after_raw: bytes | None, backup: str, field: str) -> bool:
    return _compare(descriptor, after_raw, backup, field, mixed=False)


def _is_mixture(descriptor: int, after_raw: bytes | None, backup: str, field: str) -> bool:
    return _compare(descriptor, after_raw, backup, field, mixed=True)


def _compare(descriptor: int, after_raw: bytes | None, backup: str, field: str, *, mixed: bool) -> bool:
    """Return whether a file is what the change makes of the copy, or page by page either that or the copy."""
    plan = plan_restore(backup, after_raw, field=field)

    def work(file: object) -> bool:
        old, new = View(file), View(file, plan.edits)  # type: ignore[arg-type]
        size = os.fstat(descriptor).st_size
        if not mixed and size != new.size:
            return False
        return size <= max(old.size, new.size) and all(
            _page_fits(os.pread(descriptor, _PAGE, at), at, old, new, mixed=mixed) for at in range(0, size, _PAGE)
        )

    return with_open(backup, work)


def _page_fits(page: bytes, at: int, old: View, new: View, *, mixed: bool) -> bool:
    fresh, former = new.at(at, _PAGE), old.at(at, _PAGE)
    if page == fresh:
        return True
    longest = max(len(fresh), len(former))
    choices = {fresh.ljust(longest, b"\0"), former.ljust(longest, b"\0"), bytes(longest)}
    return mixed and page.ljust(longest, b"\0") in choices


__all__ = ["BLOCK", "Outcome", "recover"]
