"""The predicted refusal of a write, compared with what really happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import media

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make such files")

NOBODY = 65534
# Prints the prediction, then tries what a write does: a new file beside the old one, with its owner, in its place.
TRY = """
import json, os, shutil, sys
from genrify_tagger import tags
from genrify_tagger.tags import atomic, file_attributes, tempfiles
path, options, user, groups = sys.argv[1], *map(json.loads, sys.argv[2:])
plan = tags.plan_write(path, ("Jazz",))  # as root, so that all modules are loaded
if user:
    os.setgroups(groups)
    os.setgid(user)
    os.setuid(user)
refusal = tags.write_refusal(plan, **options)
original = os.open(plan.target, os.O_RDONLY)
try:
    os.close(os.open(plan.target, os.O_RDWR))
    with tempfiles.temporary_file(plan.target) as (fresh, descriptor):
        atomic._fill(plan, original, descriptor)
        if options.get("hardlinks") != "in-place":
            ownership = options.get("ownership", "require")
            file_attributes.copy_attributes(original, descriptor, paths=(plan.target, fresh), ownership=ownership)
            os.replace(fresh, plan.target)
        else:
            shutil.copyfile(plan.target, plan.target + ".copy")
    outcome = None
except Exception as error:
    outcome = str(error)
print(json.dumps({"predicted": refusal and str(refusal), "happened": outcome}))
"""


def attempt(path: Path, *, user: int = 0, groups: tuple[int, ...] = (), prefix: tuple[str, ...] = (), **options: str):
    """Return the predicted refusal, after checking that the attempt itself ended the same way."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", TRY, path, *map(json.dumps, (options, user, groups))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert (answer["predicted"] is None) == (answer["happened"] is None), answer
    return answer["predicted"]


@pytest.fixture
def song(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    folder = tmp_path / "music"
    folder.mkdir()
    return media.make("flac", folder)


def flag(*arguments: object) -> None:
    if subprocess.run(["chattr", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("this file system has no such attributes")


def test_an_ordinary_file_is_not_refused(song):
    assert attempt(song) is None


@pytest.mark.parametrize(("sign", "name"), [("i", "immutable"), ("a", "append-only")])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_attributes_that_bind_root(song, sign, name, what):
    marked = song if what == "file" else song.parent
    flag(f"+{sign}", marked)
    try:
        refusal = attempt(song)
    finally:
        flag(f"-{sign}", marked)
    assert name in refusal and f"chattr -{sign}" in refusal
    assert ("folder" in refusal) == (what == "folder")
    assert attempt(song) is None


def test_a_file_of_another_user(song):
    song.parent.chmod(0o777)
    song.chmod(0o666)
    assert "belongs to another user" in attempt(song, user=NOBODY)
    assert attempt(song, user=NOBODY, ownership="best-effort") is None


def test_an_own_file_in_another_group(song):
    song.parent.chmod(0o777)
    os.chown(song, NOBODY, 12345)
    assert "belongs to another user or group" in attempt(song, user=NOBODY)
    assert attempt(song, user=NOBODY, groups=(12345,)) is None


def test_a_group_that_the_folder_gives(song):
    os.chown(song.parent, NOBODY, 12345)
    song.parent.chmod(0o2775)
    os.chown(song, NOBODY, 12345)
    assert attempt(song, user=NOBODY) is None


def test_permissions_of_file_and_folder(song):
    os.chown(song, NOBODY, NOBODY)
    assert attempt(song, user=NOBODY) == "there is no permission to write in the file's folder"
    song.parent.chmod(0o777)
    os.chown(song, 0, 0)
    song.chmod(0o644)
    assert attempt(song, user=NOBODY) == "there is no permission to change the file"


def test_a_sticky_folder(song):
    song.parent.chmod(0o1777)
    os.chown(song, 0, NOBODY)
    song.chmod(0o664)
    assert attempt(song, user=NOBODY, ownership="best-effort") == "the system does not allow the file to be replaced"
    os.chown(song, NOBODY, NOBODY)
    assert attempt(song, user=NOBODY) is None


def test_hard_links(song):
    os.link(song, song.with_name("other.flac"))
    # Whoever replaces one of two names would succeed, and part them: so this is a refusal by rule.
    from genrify_tagger import tags

    plan = tags.plan_write(str(song), ("Jazz",))
    assert "has 2 names" in str(tags.write_refusal(plan))
    assert tags.write_refusal(plan, hardlinks="in-place") is None
    assert attempt(song, hardlinks="break") is None


def mounted(folder: Path, options: str) -> tuple[str, ...]:
    """Return a command prefix under which `folder` is on another file system with the same files."""
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    script = f"mount -t tmpfs {options.split()[0]} none '{folder}' && cp -p '{kept}'/* '{folder}' && "
    script += (f"mount -o remount,{options.split()[1]} '{folder}' && " if " " in options else "") + 'exec "$@"'
    return ("unshare", "-m", "sh", "-c", script, "sh")


def test_a_read_only_file_system(song):
    assert attempt(song, prefix=mounted(song.parent, "-osize=64m ro")) == "the file system is read-only"


def test_no_room_for_a_second_copy(song):
    size = song.stat().st_size
    tight, wide = f"-osize={size * 3 // 2}", f"-osize={size * 5 // 2}"
    assert attempt(song, prefix=mounted(song.parent, tight)) == "there is no space left on the file system"
    shutil.rmtree(song.parent.with_name("kept"))
    assert attempt(song, prefix=mounted(song.parent, wide)) is None


def test_no_room_for_the_copy_that_a_write_in_place_keeps(song):
    size = song.stat().st_size
    prefix = mounted(song.parent, f"-osize={size * 5 // 2}")
    assert attempt(song, prefix=prefix, hardlinks="break") is None
    os.link(song, song.with_name("other.flac"))
    shutil.rmtree(song.parent.with_name("kept"))
    small = song.parent.parent / "small"
    small.mkdir()
    script = f"mount -t tmpfs -osize={size * 5 // 2} none '{small}' && cd '{small}' && cp '{song}' a.flac && "
    prefix = ("unshare", "-m", "sh", "-c", script + 'ln a.flac b.flac && exec "$@"', "sh")
    refusal = attempt(small / "a.flac", prefix=prefix, hardlinks="in-place")
    assert refusal == "there is no space left on the file system"


def test_a_limit_of_the_process(song):
    size = song.stat().st_size
    prefix = ("prlimit", f"--fsize={size - 1}")
    assert attempt(song, prefix=prefix) == "the file would be larger than the system allows"
    assert attempt(song, prefix=("prlimit", f"--fsize={size + 100_000}")) is None
