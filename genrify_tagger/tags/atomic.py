"""Carry out a plan atomically: write a new file, verify it, and replace the old file in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from genrify_tagger import open_files
from genrify_tagger.errors import ChangedMeanwhileError, TagError, WriteRefusedError
from genrify_tagger.files import FileStat, fingerprint, has_writer, real_path
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.file_attributes import Ownership, copy_attributes, copy_times
from genrify_tagger.tags.inplace import rewrite_in_place
from genrify_tagger.tags.model import WritePlan
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.tempfiles import temporary_file
from genrify_tagger.tags.verify import verify_new_file
from genrify_tagger.tags.writability import Hardlinks, describe_os_error, must_write_in_place, write_refusal

if TYPE_CHECKING:
    from genrify_tagger.tags.mutagen_check import Comparison

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_PAGE = 4096
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def _compare_fields(container: str, field: str, former: str, fresh: str) -> Comparison:
    from genrify_tagger.tags.mutagen_check import compare_fields  # which takes long to load, and most have it elsewhere

    return compare_fields(container, field, former, fresh)


def apply(
    plan: WritePlan,
    *,
    audio_key: Callable[[str], str],
    expected_key: str | None,
    has_audio_of: Callable[[str, str, str], bool] | None = None,
    compare: Callable[[str, str, str, str], Comparison] = _compare_fields,
    keep_mtime: bool = False,
    hardlinks: Hardlinks = "refuse",
    ownership: Ownership = "require",
    backup_dir: str | None = None,
) -> FileStat:
    """Change the file as planned.

    Parameters
    ----------
    plan : WritePlan
        From `plan_write` or `plan_restore`.
    audio_key : callable
        Returns a file's audio key; called with the path of the new file before it replaces the old one.
    expected_key : str or None
        The audio key that it must have; None to compute that of the original first.
    has_audio_of : callable or None
        Tells whether the new file (its path) has the audio of the original (its path), which has that key; None to
        compare keys. Only if the key is known to be that of the file as it was when the plan was made.
    compare : callable
        `mutagen_check.compare_fields`, or a function that runs it in another process.
    keep_mtime : bool
        Keep access and modification time.
    hardlinks : {"refuse", "break", "in-place"}
        What to do with a file that has several names: refuse; give this name its own file; or rewrite the file under
        all its names, with a full copy kept until the result is verified.
    ownership : {"require", "best-effort"}
        Whether to refuse if owner, group, mode, ACLs or attributes cannot be kept.
    backup_dir : str or None
        Where the full copy for "in-place" goes; None for the file's own folder.

    Returns
    -------
    FileStat
        The fingerprint of the file as it is now.

    Raises
    ------
    ChangedMeanwhileError
        If the file is not as it was when the plan was made. Nothing was written.
    WriteRefusedError
        If it is not possible (permissions, space, failed verification). Nothing was written.
    UnfinishedWriteError
        If only the next start can find out or resolve what was written (`recover`, `sweep`).
    """
    with _describe_os_error(plan), memory_budget.one_file(), _original(plan) as original:
        if not plan.changes:
            return plan.stat
        if refusal := write_refusal(plan, hardlinks=hardlinks, ownership=ownership, backup_dir=backup_dir):
            raise refusal
        in_place = must_write_in_place(os.fstat(original), hardlinks)
        key = audio_key(plan.target) if expected_key is None else expected_key
        with temporary_file(plan.target) as (path, descriptor):
            _fill(plan, original, descriptor)
            if not in_place:
                copy_attributes(original, descriptor, paths=(plan.target, path), ownership=ownership)
            verify_new_file(plan, path, compare)
            if not (has_audio_of(path, plan.target, key) if has_audio_of else audio_key(path) == key):
                raise _other_audio(plan, audio_key, key)
            if keep_mtime:
                copy_times(os.fstat(original), descriptor)
            os.fsync(descriptor)
            if in_place:
                return rewrite_in_place(plan, original, descriptor, backup_dir=backup_dir, keep_mtime=keep_mtime)
            if sys.platform == "win32":
                written = replace_closed(plan, original, descriptor, path)
            else:
                _replace(plan, original, path)
                # Fingerprint of the new file, even if another program has already replaced it.
                written = fingerprint(os.fstat(descriptor))
                _drop_from_cache(descriptor)
        with contextlib.suppress(OSError):
            open_files.sync_folder(os.path.dirname(plan.target))
        return written


def _drop_from_cache(descriptor: int) -> None:
    """Free the memory in which the system caches a file that is on disk.

    The next new file gets it, so that a long scan leaves in the cache what other programs have there.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _other_audio(plan: WritePlan, audio_key: Callable[[str], str], key: str) -> WriteRefusedError:
    if audio_key(plan.target) != key:
        return ChangedMeanwhileError("the audio was changed or replaced by another program, so the file was left alone")
    return WriteRefusedError("the audio would not be the same after the write")


@contextlib.contextmanager
def _original(plan: WritePlan) -> Iterator[int]:
    descriptor = os.open(plan.target, open_files.READ | open_files.NO_FOLLOW)
    try:
        if fingerprint(os.fstat(descriptor)) != plan.stat or real_path(plan.path) != plan.target:
            raise ChangedMeanwhileError("the file was changed by another program, so it was left alone")
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(plan: WritePlan, original: int, descriptor: int) -> None:
    with os.fdopen(os.dup(original), "rb") as source, os.fdopen(os.dup(descriptor), "wb") as target:
        status = os.fstat(original)
        keep_holes = getattr(status, "st_blocks", status.st_size) * 512 < status.st_size
        view = PatchedFile(source, plan.edits)
        for start, length, place in view.stretches():
            first = last = start
            if place is not None and not keep_holes:
                first, last = open_files.share_blocks(original, descriptor, start, start + length, place - start)
            target.write(view.at(start, first - start))
            target.seek(last)
            for block in view.blocks(last, start + length):
                _write_block(target, block, keep_holes=keep_holes)
        target.truncate()
        target.flush()
        os.fsync(descriptor)


def _write_block(target: BinaryIO, block: bytes, *, keep_holes: bool) -> None:
    """Write a block; in a sparse file, leave out pages of zeros."""
    if not keep_holes:
        target.write(block)
        return
    for at in range(0, len(block), _PAGE):
        page = block[at : at + _PAGE]
        if page.count(0) == len(page):
            target.seek(len(page), os.SEEK_CUR)
        else:
            target.write(page)


def _replace(plan: WritePlan, original: int, path: str) -> None:
    """Replace the old file by the new one, unless the old one has changed since the plan was made."""
    _check_unchanged(plan)
    if not _exchange(path, plan.target):
        os.replace(path, plan.target)
        return
    # Now the temporary name holds what was replaced: check it once more, and swap back if it is
    # another file, or if a program has it open for writing. From here on, programs that open the file get the new one.
    written_to = has_writer(original)
    if written_to or not is_same(os.stat(path, follow_symlinks=False), plan.stat):
        undo_exchange(path, plan.target)
        how = "is being written" if written_to else "was changed"
        raise ChangedMeanwhileError(f"the file {how} by another program, so it was left alone")


def replace_closed(
    plan: WritePlan, original: int, descriptor: int, path: str, *, seconds: float = open_files.REPLACE_SECONDS
) -> FileStat:
    """Replace the old file by the new one on Windows, where neither may be open, and return its fingerprint.

    Raises
    ------
    ChangedMeanwhileError
        If the old file is being written, or has changed since the plan was made.
    WriteRefusedError
        If another program has the file open all the time.
    """
    if has_writer(original):
        raise ChangedMeanwhileError("the file is being written by another program, so it was left alone")
    for opened in (original, descriptor):
        open_files.close_file(opened)
    try:
        open_files.replace_when_closed(path, plan.target, seconds=seconds, check=lambda: _check_unchanged(plan))
    except PermissionError as error:
        raise WriteRefusedError(
            "another program has the file open", hint="close it there (a player?), then run this again"
        ) from error
    # Not before: the new file takes over the creation time of the one whose name it gets.
    return fingerprint(os.stat(plan.target, follow_symlinks=False))


def _check_unchanged(plan: WritePlan) -> None:
    if fingerprint(os.stat(plan.target, follow_symlinks=False)) != plan.stat:
        raise ChangedMeanwhileError("the file was changed by another program, so it was left alone")


def is_same(found: os.stat_result, planned: FileStat) -> bool:
    """Return whether a file, since renamed, is the one that the plan was made for."""
    return (found.st_size, found.st_mtime_ns, found.st_ino) == (planned.size, planned.mtime_ns, planned.inode)


def undo_exchange(path: str, target: str) -> None:
    """Swap back a file that was exchanged by mistake.

    Raises
    ------
    OSError
        If that is not possible.
    """
    try:
        exchanged = _exchange(path, target)
    except OSError:
        exchanged = False
    if not exchanged:
        # The other program's file must stay, even if the new one is lost.
        os.rename(path, target)


def _exchange(first: str, second: str) -> bool:
    """Swap two names in one step; return False where the file system cannot."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), second)


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if function is None:
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    function.restype = ctypes.c_int
    found: Callable[[int, bytes, int, bytes, int], int] = function
    return found


@contextlib.contextmanager
def _describe_os_error(plan: WritePlan) -> Iterator[None]:
    try:
        yield
    except TagError as error:
        error.path = error.path or plan.path
        raise
    except OSError as error:
        kind = ChangedMeanwhileError if error.errno in (errno.ENOENT, errno.ELOOP) else WriteRefusedError
        raise kind(describe_os_error(error), path=plan.path) from error
