"""Whatever happens, a file is the old one or the new one, and owner, mode and attributes are kept."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.audio import audio_key, has_audio_of
from genrify_tagger.errors import ChangedMeanwhileError, TagError, WriteRefusedError
from genrify_tagger.tags import atomic, inplace, tempfiles
from tests import tagging
from tests.media import clip, make, need, run

NOBODY = 65534


def planned(folder: Path, kind: str = "mp3-v2.3", name: str = "song") -> tuple[Path, tags.WritePlan]:
    path = make(kind, folder, name, genre="Oldies")
    return path, tags.plan_write(str(path), ["Jazz"])


def apply(plan: tags.WritePlan, key: Callable[[str], str] = audio_key, **options: object) -> None:
    tags.apply(plan, audio_key=key, expected_key=audio_key(plan.target), **options)  # type: ignore[arg-type]


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process; return its exit status, negative for the signal that ended it, 7 for an error."""
    pid = os.fork()
    if pid == 0:
        status = 7
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def strays(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("."))


# Owner, mode, attributes


def test_mode_owner_and_attributes_are_kept(tmp_path: Path) -> None:
    path, _ = planned(tmp_path)
    os.chmod(path, 0o2640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
        os.chmod(path, 0o2640)
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.rating", b"five\0stars")
    before, attributes = path.stat(), {name: os.getxattr(path, name) for name in os.listxattr(path)}
    tagging.write(path, "Jazz")
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes
    assert after.st_mtime_ns > before.st_mtime_ns


def test_acls_are_kept_and_none_is_inherited(tmp_path: Path) -> None:
    with_acl, _ = planned(tmp_path, name="with")
    without, _ = planned(tmp_path, name="without")
    setfacl, getfacl = need("setfacl"), need("getfacl")
    run(setfacl, "-m", f"u:{NOBODY}:rw,g:{NOBODY}:r", with_acl)
    run(setfacl, "-d", "-m", f"u:{NOBODY}:rwx", tmp_path)
    for path in (with_acl, without):
        before = run(getfacl, "-cpn", path).stdout
        tagging.write(path, "Jazz")
        assert run(getfacl, "-cpn", path).stdout == before
    assert f"user:{NOBODY}:rw-".encode() in run(getfacl, "-cpn", with_acl).stdout


def test_keep_mtime(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    os.utime(path, ns=(1_000_000_000_123, 1_000_000_000_456))
    plan = tags.plan_write(str(path), ["Jazz"])
    apply(plan, keep_mtime=True)
    assert path.stat().st_mtime_ns == 1_000_000_000_456
    assert tagging.genres(path) == ("Jazz",)


def test_the_returned_fingerprint_is_the_new_files(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    stat = tags.apply(plan, audio_key=audio_key, expected_key=None)
    assert stat == tags.stat_or_none(str(path))
    again = tags.plan_write(str(path), ["Jazz"])
    assert tags.apply(again, audio_key=audio_key, expected_key=None) == stat


def test_links_are_followed_and_stay_links(tmp_path: Path) -> None:
    path, _ = planned(tmp_path / "real")
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    plan = tags.plan_write(str(link), ["Jazz"])
    assert (plan.path, plan.target) == (str(link), str(path))
    apply(plan)
    assert link.is_symlink()
    assert tagging.genres(path) == ("Jazz",)
    assert strays(tmp_path / "real") == []


def test_a_link_that_points_elsewhere_by_now(tmp_path: Path) -> None:
    path, _ = planned(tmp_path / "real")
    other, _ = planned(tmp_path / "other")
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    plan = tags.plan_write(str(link), ["Jazz"])
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(ChangedMeanwhileError):
        apply(plan)
    assert tagging.genres(path) == ("Oldies",)


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff\xfe.mp3"), "a\nb.mp3", "x" * 251 + ".mp3"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path, _ = planned(tmp_path)
    odd = tmp_path / name
    path.rename(odd)
    tagging.check_round_trip(odd, ["Jazz"])


# Hard links


def test_hard_links_are_refused_by_default(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    os.link(path, tmp_path / "other.mp3")
    plan = tags.plan_write(str(path), ["Jazz"])
    with pytest.raises(WriteRefusedError, match="hard links"):
        apply(plan)
    assert tagging.genres(path) == ("Oldies",)
    apply(plan, hardlinks="break")
    assert tagging.genres(path) == ("Jazz",)
    assert tagging.genres(tmp_path / "other.mp3") == ("Oldies",)
    assert strays(tmp_path) == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_hard_links_in_place(tmp_path: Path, elsewhere: bool) -> None:
    path, other = make("flac", tmp_path, genre="Oldies"), tmp_path / "other.flac"
    os.link(path, other)
    safe = tmp_path / "safe"
    safe.mkdir()
    original = path.read_bytes()
    plan = tags.plan_write(str(path), ["Jazz" * 3000])
    apply(plan, hardlinks="in-place", backup_dir=str(safe) if elsewhere else None)
    assert path.stat().st_ino == other.stat().st_ino == plan.stat.inode
    assert tagging.genres(other) == ("Jazz" * 3000,)
    back = tags.plan_restore(str(path), plan.before.raw, expected=plan.after.raw)
    apply(back, hardlinks="in-place")
    assert other.read_bytes() == original
    assert strays(tmp_path) == strays(safe) == []


@pytest.mark.parametrize("removing", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 1.0])
def test_a_half_written_file_is_put_back(tmp_path: Path, share: float, removing: bool) -> None:
    # No padding in these files: all that follows moves.
    path = make("wma", tmp_path, genre="Oldies")
    os.link(path, tmp_path / "other.wma")
    original = path.read_bytes()
    plan = tags.plan_write(str(path), [] if removing else ["Jazz" * 3000])
    backup = tags.backup_path(plan)
    shutil.copy(path, backup)
    done = tmp_path / "done.wma"
    shutil.copy(path, done)
    tagging.write(done, *plan.after.genres)
    fresh = done.read_bytes()
    with open(path, "r+b") as file:
        file.write(fresh[: int(len(fresh) * share)])
        if share == 1.0:
            file.truncate()
    found = tags.recover(str(path), plan.before.raw, plan.after.raw, backup)
    assert found == ("after" if share == 1.0 else "before")
    assert path.read_bytes() == (fresh if share == 1.0 else original)
    assert strays(tmp_path) == []


def test_a_backup_never_overwrites_an_existing_file(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    backup = tags.backup_path(plan)
    shutil.copy(path, backup)
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"somebody else's")
    content = path.read_bytes()
    assert tags.recover(str(path), plan.before.raw, plan.after.raw, backup) == "other"
    assert path.read_bytes() == content
    new, _ = planned(tmp_path / "new")
    os.replace(new, path)
    assert tags.recover(str(path), plan.before.raw, plan.after.raw, backup) == "other"
    assert os.path.exists(backup)


# Refusals


def test_a_read_only_file_is_protected_from_root_too(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    os.chmod(path, 0o444)
    plan = tags.plan_write(str(path), ["Jazz"])
    with pytest.raises(WriteRefusedError, match="read-only") as caught:
        apply(plan)
    assert caught.value.path == str(path)
    assert tagging.genres(path) == ("Oldies",)


def as_nobody(work: Callable[[], None]) -> int:
    def drop() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        work()

    return in_child(drop)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    folder = Path(f"/tmp/genrify-test-shared-{os.getpid()}")
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_a_file_of_another_user_keeps_its_owner_or_is_refused(shared_folder: Path) -> None:
    path, _ = planned(shared_folder)
    os.chmod(path, 0o666)
    plan = tags.plan_write(str(path), ["Jazz"])

    def refused() -> None:
        with pytest.raises(WriteRefusedError, match="belongs to another user"):
            tags.apply(plan, audio_key=lambda _: "same", expected_key="same")

    assert as_nobody(refused) == 0
    assert strays(shared_folder) == []
    assert as_nobody(lambda: _ignore(plan, ownership="best-effort")) == 0
    assert tagging.genres(path) == ("Jazz",)
    assert path.stat().st_uid == NOBODY


def _ignore(plan: tags.WritePlan, **options: object) -> None:
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o644, 0o777), (0o666, 0o755)])
def test_missing_permissions_are_reported(shared_folder: Path, file_mode: int, folder_mode: int) -> None:
    path, _ = planned(shared_folder)
    os.chmod(path, file_mode)
    shared_folder.chmod(folder_mode)
    plan = tags.plan_write(str(path), ["Jazz"])

    def refused() -> None:
        with pytest.raises(WriteRefusedError, match="no permission"):
            _ignore(plan)

    assert as_nobody(refused) == 0
    assert strays(shared_folder) == []


def test_no_room_for_the_new_file(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    original = path.read_bytes()

    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        with pytest.raises(WriteRefusedError, match="larger than"):
            _ignore(plan)

    assert in_child(cramped) == 0
    assert path.read_bytes() == original
    assert strays(tmp_path) == []


FULL = """
import os, sys
from genrify_tagger import tags
from genrify_tagger.errors import WriteRefusedError
path = sys.argv[1]
plan = tags.plan_write(path, ["Jazz"])
os.system(sys.argv[2])
try:
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same")
except WriteRefusedError as error:
    print(error.message)
print(sorted(os.listdir(os.path.dirname(path))), tags.read(path).genres)
"""


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        ("head -c 9000000 /dev/zero > {0}/fill 2>/dev/null", "no space left"),
        ("mount -o remount,ro {0}", "read-only"),
    ],
)
def test_full_and_read_only_file_systems(tmp_path: Path, happens: str, words: str) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    path, _ = planned(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(FULL)
    command = (
        f"mount -t tmpfs -o size=400k none {mount} && cp {path} {mount}/ && "
        f"{sys.executable} {script} {mount}/song.mp3 '{happens.format(mount)}'"
    )
    done = subprocess.run(
        [need("unshare"), "--mount", "sh", "-c", command], capture_output=True, text=True, check=False
    )
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip("needs root and its own mount namespace")
    assert words in done.stdout
    assert done.stdout.rstrip().endswith("('Oldies',)")
    assert ".genrify" not in done.stdout


def test_another_audio_is_refused(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    with pytest.raises(WriteRefusedError, match="audio"):
        tags.apply(plan, audio_key=lambda name: name, expected_key=None)
    assert tagging.genres(path) == ("Oldies",)
    assert strays(tmp_path) == []


def test_a_file_system_without_chmod_is_refused_unless_best_effort(tmp_path: Path) -> None:
    source, mount = tmp_path / "source", tmp_path / "mount"
    mount.mkdir()
    planned(source)
    os.chmod(source / "song.mp3", 0o640)
    server = subprocess.Popen(
        [need("bindfs"), "-f", "--chmod-deny", str(source), str(mount)], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while not os.path.ismount(mount) and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if not os.path.ismount(mount):
            pytest.skip("needs FUSE")
        path = mount / "song.mp3"
        plan = tags.plan_write(str(path), ["Jazz"])
        with pytest.raises(WriteRefusedError, match=r"0640.*chmod") as caught:
            apply(plan)
        assert "best-effort" in str(caught.value)
        assert str(tags.write_refusal(plan)) == str(caught.value)  # a dry run knows
        assert tags.write_refusal(plan, ownership="best-effort") is None
        assert tagging.genres(path) == ("Oldies",)
        assert strays(mount) == []
        apply(plan, ownership="best-effort")
        assert tagging.genres(path) == ("Jazz",)
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=False, capture_output=True)
        server.terminate()
        server.wait(10)


# Others at work on the same file


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def rewrite_and_hide(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def save_atomically(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.rename(path)


@pytest.mark.parametrize("change", [rewrite, rewrite_and_hide, save_atomically, Path.unlink], ids=lambda f: f.__name__)
@pytest.mark.parametrize("when", ["after planning", "while proving"])
def test_a_file_changed_meanwhile_is_left_alone(tmp_path: Path, change: Callable[[Path], None], when: str) -> None:
    path, plan = planned(tmp_path)
    time.sleep(0.02)

    def key(name: str) -> str:
        if when == "while proving":
            change(path)
        return "same"

    if when == "after planning":
        change(path)
    with pytest.raises(ChangedMeanwhileError):
        tags.apply(plan, audio_key=key, expected_key="same")
    assert not path.exists() or tagging.genres(path) == ("Oldies",)
    assert strays(tmp_path) == []


@pytest.mark.parametrize("kind", ["mp3-v2.3", "wav", "ogg-vorbis"])
def test_a_write_that_would_change_the_audio_is_refused(tmp_path: Path, kind: str) -> None:
    path, plan = planned(tmp_path, kind)

    def changed(new: str, former: str, expected: str) -> bool:
        with open(new, "r+b") as file:
            file.seek(os.path.getsize(new) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x10]))
        return has_audio_of(new, former, expected)

    with pytest.raises(WriteRefusedError, match="the audio would not be the same"):
        apply(plan, has_audio_of=changed)
    assert tagging.genres(path) == ("Oldies",)
    assert strays(tmp_path) == []
    apply(plan, has_audio_of=has_audio_of)
    assert tagging.genres(path) == ("Jazz",)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"theirs"), save_atomically])
def test_a_change_at_the_last_instant_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    path, plan = planned(tmp_path)
    swap, calls = atomic._exchange, []

    def late(first: str, second: str) -> bool:
        if not calls:
            change(path)
            calls.append(path.read_bytes())
        return swap(first, second)

    monkeypatch.setattr(atomic, "_exchange", late)
    time.sleep(0.02)
    with pytest.raises(ChangedMeanwhileError):
        apply(plan)
    assert path.read_bytes() == calls[0]
    assert strays(tmp_path) == []


def test_file_systems_that_cannot_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_renameat2", lambda: None)
    path, _ = planned(tmp_path)
    tagging.check_round_trip(path, ["Jazz"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    path, plan = planned(tmp_path)
    original = path.read_bytes()

    def key(name: str) -> str:
        raise error

    with pytest.raises(error):
        tags.apply(plan, audio_key=key, expected_key="same")
    assert path.read_bytes() == original
    assert strays(tmp_path) == []


# kill -9


def killed_at(plan: tags.WritePlan, step: int, **options: object) -> int:
    """Carry out a plan in a child that kills itself at the given event Python reports (open, rename, chmod, ...)."""

    def work() -> None:
        count = 0

        def hook(event: str, _: object) -> None:
            nonlocal count
            if event == "open" or event.startswith(("os.", "fcntl.", "shutil.")):
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        tags.apply(plan, audio_key=audio_key, expected_key=None, **options)  # type: ignore[arg-type]

    return in_child(work)


def cut_in_place(plan: tags.WritePlan, step: int) -> int:
    """Rewrite a file in place in a child that is killed before its given system call, with small blocks."""

    def work() -> None:
        count = 0

        def counted(name: str) -> None:
            real = getattr(os, name)

            def call(*arguments: object) -> object:
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments)

            setattr(os, name, call)

        inplace.BLOCK = 7000
        for name in ("pwrite", "ftruncate", "fsync", "rename", "unlink", "posix_fallocate"):
            counted(name)
        tags.apply(plan, audio_key=lambda _: "same", expected_key="same", hardlinks="in-place")

    return in_child(work)


@pytest.mark.parametrize("kind", ["mp3-bare", "m4a-aac", "flac", "wma", "wav", "aiff", "opus", "wavpack"])
@pytest.mark.parametrize("removing", [False, True])
def test_an_interrupted_rewrite_in_place_is_resolved(tmp_path: Path, kind: str, removing: bool) -> None:
    names = [] if removing else ["Jazz" * 500]
    made = make(kind, tmp_path / "master", genre=None if kind == "mp3-bare" else "Oldies", source=clip(3))
    master = made.with_name("short" + made.suffix)
    master.write_bytes(made.read_bytes())
    done = Path(shutil.copy(master, tmp_path))
    tagging.write(done, *names)
    old, new = master.read_bytes(), done.read_bytes()
    folder, status, step, found = tmp_path / "work", -9, 0, set()
    while status != 0:
        step += 1 + len(old) // 200_000  # large files have many equal steps
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = Path(shutil.copy(master, folder))
        os.link(path, folder / "other")
        plan = tags.plan_write(str(path), names)
        if not plan.changes:
            return
        status = cut_in_place(plan, step)
        assert status in (0, -signal.SIGKILL)
        tags.sweep(str(folder))
        outcome = tags.recover(str(path), plan.before.raw, plan.after.raw, tags.backup_path(plan))
        assert path.read_bytes() == (folder / "other").read_bytes() == {"before": old, "after": new}[outcome]
        assert strays(folder) == []
        found.add(outcome)
    assert found == {"before", "after"}


@pytest.mark.parametrize("kind", ["mp3-v2.3", "m4a-aac"])
@pytest.mark.parametrize("linked", [False, True])
def test_killed_at_every_step(tmp_path: Path, kind: str, linked: bool) -> None:
    master = make(kind, tmp_path / "master", genre="Oldies", source=clip(3))
    done = make(kind, tmp_path / "done", genre="Oldies", source=clip(3))
    tagging.write(done, "Jazz")
    old, new = master.read_bytes(), done.read_bytes()
    folder, outcomes, step = tmp_path / "work", [], 0
    while not outcomes or outcomes[-1] != 0:
        step += 1
        folder.mkdir()
        path = Path(shutil.copy(master, folder))
        if linked:
            os.link(path, folder / "other")
        plan = tags.plan_write(str(path), ["Jazz"])
        outcomes.append(killed_at(plan, step, hardlinks="in-place"))
        assert outcomes[-1] in (0, -signal.SIGKILL)
        tags.sweep(str(folder))
        found = tags.recover(str(path), plan.before.raw, plan.after.raw, tags.backup_path(plan))
        assert path.read_bytes() == {"before": old, "after": new}[found]
        if linked:
            assert (folder / "other").read_bytes() == path.read_bytes()
        assert strays(folder) == []
        shutil.rmtree(folder)
        assert step < 300
    assert len(outcomes) > 10


def test_killed_at_random_moments(tmp_path: Path) -> None:
    dice = random.Random(5)
    path, plan = planned(tmp_path, "flac")
    old = path.read_bytes()
    tagging.write(path, "Jazz")
    new = path.read_bytes()
    seen = set()
    for _ in range(40):
        path.write_bytes(old)
        plan = tags.plan_write(str(path), ["Jazz"])
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                tags.apply(plan, audio_key=audio_key, expected_key=None)
            os._exit(0)
        time.sleep(dice.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = tags.recover(str(path), plan.before.raw, plan.after.raw)
        assert path.read_bytes() == {"before": old, "after": new}[found]
        seen.add(found)
        tags.sweep(str(tmp_path))
        assert strays(tmp_path) == []
    assert seen


# Stray files


def test_sweep_keeps_files_of_running_processes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with tempfiles.temporary_file(str(tmp_path / "song.mp3")):
            os.write(writer, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    try:
        assert tags.sweep(str(tmp_path)) == []
        assert len(strays(tmp_path)) == 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    removed = tags.sweep(str(tmp_path))
    assert len(removed) == 1
    assert strays(tmp_path) == []


def test_a_temporary_file_is_removed_where_its_folder_has_been_moved(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with tempfiles.temporary_file(str(tmp_path / "old" / "song.mp3")):
        (tmp_path / "old").rename(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_temporary_file_was_exchanged_for_is_not_removed_in_a_moved_folder(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with tempfiles.temporary_file(str(tmp_path / "old" / "song.mp3")) as (path, _):
        (tmp_path / "user's").write_text("a user's file")
        os.rename(tmp_path / "user's", path)
        (tmp_path / "old").rename(tmp_path / "new")
    assert [file.read_text() for file in (tmp_path / "new").iterdir()] == ["a user's file"]


def test_sweep_removes_nothing_else(tmp_path: Path) -> None:
    names = [".genrify-x.tmp", ".genrify-1-0-0123456789abcdef.bak", "genrify-1-0-0123456789abcdef.tmp", "song.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".genrify-999999999-5-0123456789abcdef.tmp").symlink_to("song.tmp")
    assert tags.sweep(str(tmp_path)) == []
    assert len(list(tmp_path.iterdir())) == 5
    assert tags.sweep(str(tmp_path / "nowhere")) == []


def cut_off(plan: tags.WritePlan, content: bytes) -> Path:
    """Leave the temporary file of a write that was killed, under the number that the song has after a mount."""

    def write() -> None:
        with tempfiles.temporary_file(plan.target) as (_, descriptor):
            os.write(descriptor, content)
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(write) == -signal.SIGKILL
    folder = Path(plan.target).parent
    (name,) = strays(folder)
    return (folder / name).rename(folder / f"{name.rpartition('-')[0]}-{os.stat(plan.target).st_ino}.tmp")


def test_a_half_written_file_never_takes_the_songs_place_when_inodes_are_numbered_anew(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    original = path.read_bytes()
    cut_off(plan, original[:1000])
    tags.restore_exchanged(plan.path, plan.stat, plan.after.raw)
    assert path.read_bytes() == original


def test_nor_does_it_take_another_songs_place(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    _, other = planned(tmp_path, name="other")
    stray = cut_off(other, b"half")
    apply(plan)
    written = path.read_bytes()
    stray.rename(tmp_path / f"{stray.name.rpartition('-')[0]}-{path.stat().st_ino}.tmp")
    tags.restore_exchanged(plan.path, plan.stat, plan.after.raw)
    assert path.read_bytes() == written


def test_recover_detects_changes_by_other_programs(tmp_path: Path) -> None:
    path, plan = planned(tmp_path)
    tagging.write(path, "Pop")
    assert tags.recover(str(path), plan.before.raw, plan.after.raw) == "other"
    path.unlink()
    assert tags.recover(str(path), plan.before.raw, plan.after.raw) == "other"


def test_a_journal_entry_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path, _ = planned(tmp_path)
    for raw in (b"", b"{}", b"\xff", b'{"v": 99}'):
        with pytest.raises(TagError):
            tags.plan_restore(str(path), raw)


def test_a_disk_error_is_reported(tmp_path: Path) -> None:
    _, plan = planned(tmp_path)

    def key(name: str) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    with pytest.raises(WriteRefusedError, match="the disk reports an error") as caught:
        tags.apply(plan, audio_key=key, expected_key="same")
    assert caught.value.path == plan.path
    assert strays(tmp_path) == []
