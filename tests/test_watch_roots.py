"""Nothing is missed: lost events, limits, mounts that come and go, polling instead of events."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from genrify_tagger.watch import folder_probe
from genrify_tagger.watch.clock import Clocks, has_slept
from tests import media
from tests.watching import changes, genre, song, until, watching


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


def roots(service):
    state = service.state()
    return [(root["watching"], root["reason"]) for root in state["roots"]] if state else []


def capable(command, why):
    """Skip (in CI: fail) if the system does not let us do something."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        assert not media.in_ci(), done.stderr
        pytest.skip(f"{why}: {done.stderr.strip()}")


def test_an_overflow_of_the_systems_queue_loses_nothing(program, music):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("the system's queue is too long to fill it")
    with watching(program, music) as service:
        service.rest()
        service.process.send_signal(signal.SIGSTOP)
        for _ in range(limit // 2 + 1000):  # its reader sleeps
            os.close(os.open(music / "noise.txt", os.O_CREAT | os.O_WRONLY))
            os.unlink(music / "noise.txt")
        missed = song(music, "missed")
        deep = song(music / "new" / "deep", "missed too", "flac")
        service.process.send_signal(signal.SIGCONT)
        service.tagged(missed)
        service.tagged(deep)
        assert "events were lost" in service.words
        late = song(music / "new" / "deep", "told again", "opus")
        service.tagged(late)
        assert service.rest()["counts"] == {"tagged": 3}


def test_the_watch_limit_is_reported_and_the_root_polled(program, music):
    inside = 'echo {} > /proc/sys/user/max_inotify_watches && exec "$@"'
    unshare = [media.need("unshare"), "--user", "--map-root-user", "sh", "-c"]
    capable([*unshare, inside.format(5), "sh", "true"], "no namespaces here")
    for number in range(10):
        song(music / f"album {number}", kind="flac") if number == 9 else (music / f"album {number}").mkdir()
    with watching(program, "--poll", "1", music, prefix=[*unshare, inside.format(5), "sh"]) as service:
        service.tagged(music / "album 9" / "song.flac")
        assert "fs.inotify.max_user_watches" in service.words
        assert [watching for watching, _ in roots(service)] == ["polling"]
        service.tagged(song(music / "album 4", "late", "opus"))
        assert service.rest()["counts"] == {"tagged": 2}
        time.sleep(2)
        assert service.words.count("fs.inotify.max_user_watches") == 2  # a warning, and the list of what is watched
        assert "error" not in service.words


@pytest.mark.torture
def test_the_watch_limit_may_be_reached_later(program, music):
    inside = 'echo 13 > /proc/sys/user/max_inotify_watches && exec "$@"'
    unshare = [media.need("unshare"), "--user", "--map-root-user", "sh", "-c"]
    capable([*unshare, inside, "sh", "true"], "no namespaces here")
    for number in range(10):
        (music / f"album {number}").mkdir()
    with watching(program, "--poll", "1", music, prefix=[*unshare, inside, "sh"]) as service:
        service.rest()
        assert roots(service) == [("native", None)]
        for number in range(5):  # now it is enough, then no longer
            (music / f"later {number}").mkdir()
        until(lambda: roots(service)[0][0] == "polling")
        service.tagged(song(music / "later 4", "after all", "wav"))


def test_polling_finds_everything_that_events_find(program, music):
    first, second = song(music, "first"), song(music / "album", "second", "flac")
    with watching(program, "--polling", "always", "--poll", "1", music, settle=0.5) as service:
        service.tagged(first), service.tagged(second)
        assert roots(service) == [("polling", "as set")]
        third = song(music / "new", "third", "opus")
        service.tagged(third)
        second.unlink()
        first.rename(music / "renamed.mp3")
        until(lambda: not service.files()[str(second)][1] and not service.files()[str(first)][1])
        until(lambda: service.files().get(str(music / "renamed.mp3")))
        shutil.copy(media.master("flac", media.CLASSICAL), third.with_name("slow.flac"))
        service.tagged(third.with_name("slow.flac"))
        service.rest()
    assert len(changes(service)) == 4


def test_a_root_that_comes_and_goes_does_not_count_as_emptied(program, music, tmp_path):
    path = song(music, "song")
    with watching(program, music) as service:
        service.tagged(path)
        music.rename(tmp_path / "away")
        until(lambda: roots(service) == [("lost", "no such folder")])
        assert service.files() == {str(path): ("tagged", True)}
        assert program("status", "--health", status=1).stdout.startswith(str(music))
        music.mkdir()  # as an unmounted mount point looks
        until(lambda: "is empty" in (roots(service)[0][1] or ""))
        time.sleep(1)
        assert service.files() == {str(path): ("tagged", True)}
        music.rmdir()
        (tmp_path / "away").rename(music)
        until(lambda: roots(service) == [("native", None)])
        late = song(music, "late", "flac")
        service.tagged(late)
        assert service.rest()["counts"] == {"tagged": 2}
        program("status", "--health")


def test_a_root_emptied_on_purpose_is_watched_again_after_prune(program, tmp_path):
    music = tmp_path / "my music"
    path = song(music, "song")
    with watching(program, music) as service:
        service.tagged(path)
        service.rest()
    path.unlink()
    with watching(program, music) as service:
        (way_out,) = re.findall("genrify-tag (db prune .*)", until(lambda: told(service, "is empty")))
        assert "removed 1 missing file and 1 analysis" in program(*shlex.split(way_out)).stdout
        until(lambda: roots(service) == [("native", None)])
        service.tagged(song(music, "new", "flac"))
        assert service.rest()["counts"] == {"tagged": 1}
        assert len(changes(service)) == 2  # the journal remembers


def told(service, words):
    return next((reason for _, reason in roots(service) if reason and words in reason), None)


def test_all_silent_file_servers_are_waited_for_together(monkeypatch, tmp_path):
    """The answer of a file server that hangs is a system call that does not return."""
    silence = threading.Event()
    real = os.stat

    def stat(path, **more):
        if "hung server" in str(path):
            silence.wait(30)
        return real(path, **more)

    monkeypatch.setattr(os, "stat", stat)
    folders = [tmp_path / name for name in ("hung server 1", "hung server 2", "hung server 3", "there")]
    for folder in folders:
        folder.mkdir()
    probes = [folder_probe.FolderProbe(str(folder)) for folder in folders]
    try:
        monkeypatch.setattr(folder_probe, "ANSWER_SECONDS", 1.0)
        began = time.monotonic()
        for probe in probes:
            probe.start()
        states = [probe.result() for probe in probes]
        assert 0.9 < time.monotonic() - began < 2
        assert states[:3] == [None] * 3 and states[3].empty
        began = time.monotonic()
        assert probes[0].result() is None  # it is not waited for again
        assert time.monotonic() - began < 0.5
    finally:
        silence.set()
    until(lambda: probes[0].result())


def test_a_root_in_the_settings_that_is_not_there_yet_is_waited_for(program, music, tmp_path):
    absent = tmp_path / "not yet"
    with watching(program, GENRIFY_LIBRARY__ROOTS=f"{music}, {absent}") as service:
        assert roots(service) == [("native", None), ("lost", "no such folder")]
        path = song(absent, "song")
        service.tagged(path)
    mistyped = tmp_path / "typing error"
    line = program("watch", mistyped, status=2).stderr
    assert line.startswith(f"genrify-tag: {mistyped}: no such folder; to wait for a folder that comes and goes")
    assert "library.roots" in line and line.count("\n") == 1
    assert "not a folder" in program("watch", path, status=2).stderr


@contextmanager
def mounted(where, kind="tmpfs", source="none"):
    subprocess.run(["mount", "-t", kind, source, str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=False, capture_output=True)


@pytest.fixture
def may_mount(tmp_path):
    probe = tmp_path / "probe"
    probe.mkdir()
    capable(["mount", "-t", "tmpfs", "none", str(probe)], "may not mount")
    subprocess.run(["umount", str(probe)], check=True)


def test_lost_mounts_are_waited_for(program, music, tmp_path, may_mount):
    disk = music / "disk"
    disk.mkdir()
    own = song(music, "own")
    source = tmp_path / "source"
    source.mkdir()
    with watching(program, music) as service:
        service.tagged(own)
        subprocess.run(["mount", "--bind", str(source), str(disk)], check=True)
        try:
            theirs = song(disk, "theirs", "flac")
            service.tagged(theirs)
            service.rest()
            subprocess.run(["umount", str(disk)], check=True)
            until(lambda: not theirs.exists())
            time.sleep(6)  # longer than it takes to see it
            late = song(music, "late", "opus")
            service.tagged(late)
            service.rest()
            assert service.files()[str(theirs)] == ("tagged", True)
            service.end()
            with watching(program, music) as again:  # it was seen once: that is remembered
                again.rest()
                assert again.files()[str(theirs)] == ("tagged", True)
                subprocess.run(["mount", "--bind", str(source), str(disk)], check=True)
                new = song(disk, "new", "wav")
                again.tagged(new)
                theirs.unlink()
                until(lambda: not again.files()[str(theirs)][1])
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=False, capture_output=True)


def test_a_bind_mount_of_a_folder_on_itself_is_ignored(program, music, tmp_path):
    """So systemd makes a folder writable for a service that is closed in."""
    unshare = [media.need("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c"]
    inside = f'mount --bind "{music}" "{music}" && exec "$@"'
    capable([*unshare, inside, "sh", "true"], "no namespaces here")
    path = song(music)
    kept = song(music, "kept", "flac")
    with watching(program, music, prefix=[*unshare, inside, "sh"]) as service:
        service.tagged(path), service.tagged(kept)
        service.rest()
    with watching(program, music) as service:
        path.unlink()
        until(lambda: not service.files()[str(path)][1])


def test_a_mount_that_hides_the_root_is_seen(program, music, may_mount):
    hidden = song(music, "hidden")
    with watching(program, music) as service:
        service.tagged(hidden)
        service.rest()
        with mounted(music):
            until(lambda: roots(service)[0][0] == "lost")
            path = song(music, "on the disk", "flac")
            service.tagged(path)
            service.rest()
        until(lambda: hidden.exists())
        service.rest()
        assert service.files()[str(hidden)] == ("tagged", True)
        assert genre(hidden)


def test_a_folder_that_becomes_readable_is_watched(program, music):
    mortal = [] if os.getuid() else [media.need("setpriv"), "--bounding-set=-all", "--inh-caps=-all"]
    capable([*mortal, "true"], "root cannot be made to heed permissions")
    closed = music / "closed"
    inside = song(closed, "inside")
    closed.chmod(0)
    try:
        with watching(program, music, prefix=mortal) as service:
            service.rest()
            assert f"{closed}: Permission denied" in service.words
            closed.chmod(0o755)
            service.tagged(inside)
            service.rest()
            service.tagged(song(closed, "new", "flac"))
    finally:
        closed.chmod(0o755)


def test_a_network_file_system_is_polled_and_may_stop_responding(program, music, tmp_path, may_mount):
    source = tmp_path / "server"
    source.mkdir()
    server = subprocess.Popen([media.need("bindfs"), "-f", str(source), str(music)], stderr=subprocess.PIPE)
    try:
        until(lambda: os.path.ismount(music) or server.poll() is not None)
        assert server.poll() is None, server.stderr.read()
        with watching(program, "--poll", "1", music) as service:
            service.rest()
            assert roots(service) == [("polling", "network")]
            there = song(source, "put there by another machine", "flac")
            service.tagged(there)
            service.rest()
            server.send_signal(signal.SIGSTOP)
            until(lambda: roots(service)[0][0] == "lost")
            assert roots(service) == [("lost", "the file server does not respond")]
            assert service.files()[str(music / there.name)] == ("tagged", True)
            server.send_signal(signal.SIGCONT)
            until(lambda: roots(service)[0][0] == "polling")
            service.tagged(song(source, "later", "opus"))
            service.rest()
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "--lazy", str(music)], check=False, capture_output=True)
        server.terminate()
        server.wait(10)
        server.stderr.close()


def test_a_suspended_machine_is_detected():
    before = Clocks(awake=100.0, total=100.0)
    assert not has_slept(before, Clocks(105.0, 105.1))
    assert has_slept(before, Clocks(105.0, 3705.0))


def test_everything_is_rescanned_at_intervals(program, music):
    hours = 2 / 3600
    with watching(program, music, GENRIFY_WATCH__RESCAN_HOURS=str(hours)) as service:
        first = song(music, "first")
        service.tagged(first)
        # The database forgets; only a look through the library can find that out.
        service.rest()
        until(lambda: forget(service))
        until(lambda: str(first) in service.files())


def forget(service):
    import sqlite3

    connection = sqlite3.connect(service.program.database, timeout=30)
    with connection:
        connection.execute("DELETE FROM files")
    connection.close()
    return True
