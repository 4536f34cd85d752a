"""Recover from an interrupted write: find out whether it took place, and remove what it left behind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, Literal

from genrify_tagger import open_files
from genrify_tagger.errors import TagError, UnfinishedWriteError
from genrify_tagger.files import FileStat
from genrify_tagger.tags.atomic import is_same, undo_exchange
from genrify_tagger.tags.inplace import copy_content, same_content
from genrify_tagger.tags.model import same_genre, same_pieces
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.planning import read, replay
from genrify_tagger.tags.tempfiles import backup_name, find_exchanged

Outcome = Literal["before", "after", "other"]
_PAGE = 4096


def restore_exchanged(path: str, planned: FileStat, after_raw: bytes | None, *, field: str = "genre") -> None:
    """Swap another program's file back to `path`, if an interrupted write had just exchanged it for the new one.

    Call this for each pending change before any temporary file is removed.

    Parameters
    ----------
    path : str
        The file.
    planned : FileStat
        Fingerprint of the file that the write was to replace.
    after_raw : bytes or None
        As journalled.
    field : str
        As journalled.

    Raises
    ------
    UnfinishedWriteError
        If it exists and cannot be swapped back.
    """
    target = os.path.realpath(path)
    stray = find_exchanged(target)
    if stray is None:
        return
    try:
        found = os.stat(stray, follow_symlinks=False)
        # FAT, exFAT and most of FUSE renumber their files when they are mounted, so the number in the stray's name
        # may be the old file's by now. Only if the file has the new genre was anything exchanged.
        exchanged = found.st_ino != os.stat(target).st_ino and _has_pieces(target, after_raw, field)
        if exchanged and not is_same(found, planned):
            undo_exchange(stray, target)
    except OSError as error:
        words = f"another program's file, saved as {stray}, cannot be put back: {error.strerror or error}"
        raise UnfinishedWriteError(words, path=path) from error


def _has_pieces(path: str, raw: bytes | None, field: str) -> bool:
    try:
        return same_pieces(read(path, field=field).raw, raw)
    except TagError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        return False


def recover(
    path: str,
    before_raw: bytes | None,
    after_raw: bytes | None,
    backup: str | None = None,
    *,
    field: str = "genre",
) -> Outcome:
    """Find out whether a pending change of a file was made.

    Parameters
    ----------
    path : str
        The file.
    before_raw, after_raw : bytes or None
        As journalled.
    backup : str or None
        The full copy of a write in place, if one was planned (`backup_path`). A half-written file is restored from it.
        The copy is removed when it is not needed any more; if that is unclear, it stays.
    field : str
        As journalled.

    Returns
    -------
    {"before", "after", "other"}
        What the file holds. "other" if another program changed it since, or it cannot be read.

    Raises
    ------
    UnfinishedWriteError
        If it may be half-written and cannot be restored now.
    """
    if backup is not None and os.path.isfile(backup):
        change = _Change(os.path.realpath(path), before_raw, after_raw, field)
        if not _settle_in_place(change, backup):
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


@dataclass(frozen=True, slots=True)
class _Change:
    target: str
    before_raw: bytes | None
    after_raw: bytes | None
    field: str


def _settle_in_place(change: _Change, backup: str) -> bool:
    """Complete or restore a file that was being rewritten in place; return False if its state cannot be told."""
    try:
        with open(change.target, "r+b") as file, open(backup, "rb") as copy:
            if os.path.basename(backup) != backup_name(change.target, os.fstat(file.fileno()).st_ino):
                return False
            if not same_content(copy.fileno(), file.fileno()) and not _put_back(change, file, copy):
                return False
        os.unlink(backup)
        open_files.sync_folder(os.path.dirname(backup))
    except (FileNotFoundError, TagError):
        return False
    except OSError as error:
        words = f"it may be half-written, and cannot be put back as it is in {backup}: {error.strerror or error}"
        raise UnfinishedWriteError(words, path=change.target) from error
    return True


def _put_back(change: _Change, file: BinaryIO, copy: BinaryIO) -> bool:
    """Restore a half-written file; return False if it is neither half-written nor finished."""
    old = PatchedFile(copy)
    new = replay(copy, change.before_raw, change.after_raw, field=change.field, target=change.target)
    pages = [_page(PatchedFile(file), old, new, at) for at in range(0, PatchedFile(file).size, _PAGE)]
    if PatchedFile(file).size == new.size and all(page == "new" for page in pages):
        return True
    if PatchedFile(file).size > max(old.size, new.size) or "other" in pages:
        return False
    copy_content(copy.fileno(), file.fileno())
    os.fsync(file.fileno())
    return True


def _page(now: PatchedFile, old: PatchedFile, new: PatchedFile, at: int) -> str:
    """Classify a page: "new" content, "between" old and new (the write was interrupted there), or "other"."""
    page, fresh, former = now.at(at, _PAGE), new.at(at, _PAGE), old.at(at, _PAGE)
    if page == fresh:
        return "new"
    longest = max(len(fresh), len(former), len(page))
    page, fresh, former = (part.ljust(longest, b"\0") for part in (page, fresh, former))
    return "between" if _is_cut_off(page, fresh, former) or _is_cut_off(page, former, fresh) else "other"


def _is_cut_off(page: bytes, writing: bytes, over: bytes) -> bool:
    """Return whether a page begins with one content and continues with the other, or with zeros."""
    written = next((i for i, pair in enumerate(zip(page, writing, strict=True)) if pair[0] != pair[1]), len(page))
    return page[written:] in (over[written:], bytes(len(page) - written))
