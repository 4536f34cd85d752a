"""Rewrite a file with several hard links in place; a full copy is kept beside it until the result is verified."""

from __future__ import annotations

import os
import sys

from genrify_tagger import open_files
from genrify_tagger.errors import ChangedMeanwhileError, UnfinishedWriteError, WriteRefusedError
from genrify_tagger.files import FileStat, fingerprint
from genrify_tagger.tags.file_attributes import copy_times
from genrify_tagger.tags.model import WritePlan
from genrify_tagger.tags.tempfiles import backup_name, remove, temporary_file

BLOCK = 1 << 20


def backup_path(plan: WritePlan, *, backup_dir: str | None = None) -> str:
    """Return the path of the full copy that is kept during a write in place.

    The name is derived from the file, so that it can be journalled first, and found again after a crash.

    Parameters
    ----------
    plan : WritePlan
        The change.
    backup_dir : str or None
        As for `apply`.
    """
    folder = os.path.dirname(plan.target) if backup_dir is None else backup_dir
    return os.path.join(folder, backup_name(plan.target, plan.stat.inode))


def check_backup_is_free(backup: str) -> None:
    """Refuse a write in place while the copy of an interrupted one exists."""
    if os.path.lexists(backup):
        raise WriteRefusedError(
            f"a copy from an interrupted write is in the way: {backup}", hint="run again to recover"
        )


def rewrite_in_place(
    plan: WritePlan, original: int, fresh: int, *, backup_dir: str | None, keep_mtime: bool
) -> FileStat:
    """Copy the verified new content over the original, with a full copy kept until that is done.

    Parameters
    ----------
    plan : WritePlan
        The change.
    original, fresh : int
        Descriptors of the file and of its new content.
    backup_dir : str or None
        Where the copy goes; None for the file's own folder.
    keep_mtime : bool
        Keep access and modification time.

    Raises
    ------
    ChangedMeanwhileError, WriteRefusedError, OSError
        If the file was left as it was, or was restored.
    UnfinishedWriteError
        If it could not be restored, and the copy was kept.
    """
    backup = backup_path(plan, backup_dir=backup_dir)
    check_backup_is_free(backup)
    descriptor = os.open(plan.target, os.O_RDWR | open_files.NO_FOLLOW | open_files.BINARY)
    try:
        _keep_copy(original, backup)
        if fingerprint(os.fstat(descriptor)) != plan.stat:
            remove(backup)
            raise ChangedMeanwhileError("the file was changed by another program, so it was left alone")
        _overwrite(fresh, descriptor, backup, times=os.fstat(original) if keep_mtime else None)
        remove(backup)
        return fingerprint(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _keep_copy(original: int, backup: str) -> None:
    folder = os.path.dirname(backup)
    with temporary_file(backup) as (path, descriptor):
        copy_content(original, descriptor)
        os.fsync(descriptor)
        if sys.platform == "win32":
            open_files.close_file(descriptor)  # no open file is renamed there
        # Only a finished copy ever has this name.
        os.rename(path, backup)
    try:
        open_files.sync_folder(folder)
    except OSError:
        remove(backup)
        raise


def _overwrite(fresh: int, target: int, backup: str, *, times: os.stat_result | None) -> None:
    try:
        copy_content(fresh, target)
        os.fsync(target)
        if not same_content(fresh, target):
            raise WriteRefusedError("the new content was not read back as it was written")
        if times is not None:
            copy_times(times, target)
    except BaseException:
        _put_back(target, backup)
        remove(backup)
        raise


def _put_back(target: int, backup: str) -> None:
    try:
        copy = os.open(backup, os.O_RDONLY | open_files.BINARY)
        try:
            copy_content(copy, target)
            os.fsync(target)
        finally:
            os.close(copy)
    except OSError as error:
        words = f"the file is half-written and cannot be put back ({error.strerror or error}); {backup} is a copy"
        raise UnfinishedWriteError(words, hint="the next start puts it back") from error


def copy_content(source: int, target: int) -> None:
    """Copy the content of one open file to another."""
    size, at = os.fstat(source).st_size, 0
    if size > os.fstat(target).st_size and hasattr(os, "posix_fallocate"):
        # Find out now, not half-way, if there is no space.
        os.posix_fallocate(target, 0, size)
    while at < size:
        block = open_files.read_at(source, min(BLOCK, size - at), at)
        if not block:
            raise OSError("the file became shorter while it was read")
        written = 0
        while written < len(block):
            written += open_files.write_at(target, block[written:], at + written)
        at += len(block)
    os.ftruncate(target, size)


def same_content(first: int, second: int) -> bool:
    """Return whether two open files have the same content."""
    size = os.fstat(first).st_size
    if os.fstat(second).st_size != size:
        return False
    return all(
        open_files.read_at(first, BLOCK, at) == open_files.read_at(second, BLOCK, at) for at in range(0, size, BLOCK)
    )
