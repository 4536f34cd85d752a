"""What differs between systems: each module with the rules of the others, as far as this system can run it."""

from __future__ import annotations

import ntpath
import os
import plistlib
import struct
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from genrify_tagger import open_files, tags
from genrify_tagger.errors import ChangedMeanwhileError, GenrifyError
from genrify_tagger.files import moved_below, relative_parts, with_separator
from genrify_tagger.process_identity import is_gone, macos_start, start_ticks, this_process
from genrify_tagger.tags import atomic
from genrify_tagger.watch.launchd_agent import LABEL, launchd_agent
from genrify_tagger.watch.native_service import NativeService
from genrify_tagger.watch.scheduled_task import NAMESPACE, scheduled_task
from genrify_tagger.watch.signals import ControlFlags
from tests.media import make

windows = pytest.mark.skipif(sys.platform != "win32", reason="only Windows keeps an open file from being replaced")

# Paths


@pytest.mark.parametrize("root", ["C:\\", "C:\\Music", r"\\nas\music", r"\\nas\music" + "\\"])
def test_folders_of_windows_contain_what_is_in_them_and_nothing_else(root):
    inside = ntpath.join(root, "Jazz", "a.mp3")
    assert inside.startswith(with_separator(root, "\\"))
    assert not f"{root.rstrip(chr(92))}2\\a.mp3".startswith(with_separator(root, "\\"))
    assert relative_parts(inside, root, "\\") == "Jazz/a.mp3"  # as patterns are written


def test_the_root_folder_contains_everything():
    assert with_separator("/") == "/"
    assert relative_parts("/a/b.mp3", "/", "/") == "a/b.mp3"


def test_a_player_on_another_system_gets_the_separators_that_it_uses():
    assert moved_below("/music", r"C:\Music\Abba\Gold", r"C:\Music", "\\") == "/music/Abba/Gold"
    assert moved_below(r"\\nas\music", r"C:\Music\Abba", "C:\\Music\\", "\\") == r"\\nas\music\Abba"
    assert moved_below("/music", "/home/ana/Music/Abba", "/home/ana/Music") == "/music/Abba"


# Open files


def test_a_lock_is_free_again_once_its_process_was_killed(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    code = (
        "import os, sys, time; from genrify_tagger.open_files import try_lock; "
        "file = open(sys.argv[1], 'r+b'); print(try_lock(file.fileno()), flush=True); time.sleep(60)"
    )
    with open(path, "r+b") as file:
        with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline().strip() == b"True"
            assert not open_files.try_lock(file.fileno())
            holder.kill()
            holder.wait()
        assert open_files.try_lock(file.fileno())


def test_what_is_locked_can_be_read(tmp_path):
    path = tmp_path / "locked"
    path.write_bytes(b"music")
    with open(path, "r+b") as file:
        assert open_files.try_lock(file.fileno())
        assert path.read_bytes() == b"music"


def test_reading_and_writing_at_a_position_leaves_the_position(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | open_files.BINARY)
    try:
        os.write(descriptor, b"a\r\nb\x1ac")
        assert open_files.write_at(descriptor, b"B", 3) == 1
        assert open_files.read_at(descriptor, 10, 1) == b"\r\nB\x1ac"
        os.write(descriptor, b"!")
        assert open_files.read_at(descriptor, 10, 0) == b"a\r\nB\x1ac!"
    finally:
        os.close(descriptor)


def test_a_file_behind_a_descriptor_is_closed_and_the_number_stays(tmp_path):
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | open_files.BINARY)
    assert open_files.try_lock(descriptor)
    open_files.close_file(descriptor)
    with open(path, "r+b") as file:
        assert open_files.try_lock(file.fileno())  # which ended with the file
    assert os.write(descriptor, b"lost") == 4
    os.close(descriptor)
    assert path.read_bytes() == b""


def test_a_file_is_written_in_one_step_with_the_rights_of_the_former(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"former")
    file.chmod(0o640)
    link.symlink_to("file")
    (tmp_path / f".file.{os.getpid()}.partial").write_bytes(b"of a process that was killed and had this number")
    with open(file, "rb") as reader:
        open_files.write_file(str(link), b"new")
        assert reader.read() == b"former"
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    open_files.write_file(str(tmp_path / "pipe"), b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@windows
def test_a_file_is_replaced_as_soon_as_its_reader_closes_it(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    reader = open(old, "rb")  # noqa: SIM115 - closed by the timer
    threading.Timer(0.5, reader.close).start()
    open_files.replace(str(new), str(old))
    assert old.read_bytes() == b"new" and not new.exists()


@windows
def test_a_file_that_stays_open_is_refused_in_one_line_and_unharmed(tmp_path):
    path = make("mp3-v2.3", tmp_path, "song", genre="Oldies")
    before = path.read_bytes()
    plan = tags.plan_write(str(path), ["Jazz"])
    with open(path, "rb"), pytest.raises(GenrifyError, match="another program has the file open"):
        tags.apply(plan, audio_key=lambda _: "", expected_key="")
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


# The way in which Windows replaces a file, with both files closed, works here too.


def test_a_file_is_replaced_after_it_was_closed(tmp_path):
    path = make("flac", tmp_path, "song", genre="Oldies")
    plan = tags.plan_write(str(path), ["Jazz"])
    new = tmp_path / "new"
    new.write_bytes(b"new")
    original, descriptor = os.open(path, open_files.READ), os.open(new, os.O_RDWR | open_files.BINARY)
    try:
        written = atomic.replace_closed(plan, original, descriptor, str(new))
    finally:
        os.close(original)
        os.close(descriptor)
    assert path.read_bytes() == b"new" and not new.exists()
    assert written.size == 3 and written.inode == path.stat().st_ino


@pytest.mark.parametrize("change", ["written", "open"])
def test_a_file_that_was_changed_or_is_being_written_is_not_replaced(tmp_path, change):
    path = make("flac", tmp_path, "song", genre="Oldies")
    plan = tags.plan_write(str(path), ["Jazz"])
    new = tmp_path / "new"
    new.write_bytes(b"new")
    original, descriptor = os.open(path, open_files.READ), os.open(new, os.O_RDWR | open_files.BINARY)
    writer = open(path, "ab")  # noqa: SIM115 - closed early in one case
    if change == "written":
        writer.write(b"more")
        writer.close()
    before = path.read_bytes()
    try:
        with pytest.raises(ChangedMeanwhileError):
            atomic.replace_closed(plan, original, descriptor, str(new))
    finally:
        writer.close()
        os.close(original)
        os.close(descriptor)
    assert path.read_bytes() == before and new.exists()


# Processes and signals


def test_a_process_on_macos_starts_in_microseconds_since_1970():
    info = struct.pack("=12I16s32s5Iixxxx"[:-4] + "QQ", *range(12), b"name", b"long", *range(5), 0, 1_700_000_000, 42)
    assert len(info) == 136  # PROC_PIDTBSDINFO_SIZE
    assert macos_start(info) == 1_700_000_000_000_042


def test_a_process_is_known_by_its_start_and_gone_once_it_ended():
    from datetime import UTC, datetime

    code = "from genrify_tagger.process_identity import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        owner = other.stdout.readline().decode().strip()
        assert start_ticks(other.pid)
        assert not is_gone(owner, datetime.now(UTC)) and not is_gone(this_process(), datetime.now(UTC))
        other.communicate(b"\n")
    assert is_gone(owner, datetime.now(UTC)) and not start_ticks(other.pid)


def test_waiting_ends_when_it_is_asked_to_from_another_thread():
    flags = ControlFlags()
    timer = threading.Timer(0.2, flags.ask_to_stop)
    timer.start()
    flags.wake.wait(30)
    assert flags.stop
    timer.join()
    flags.wake.close()


# Services


def test_the_launchd_agent_is_a_property_list_that_runs_the_command(tmp_path):
    command = ["/opt/my tools/genrify-tag", "watch", "--config", "/Users/ana/ü & <b>.toml"]
    agent = launchd_agent(command, home=str(tmp_path), user=501)
    settings = plistlib.loads(agent.content)
    assert settings["ProgramArguments"] == command and settings["Label"] == LABEL and settings["RunAtLoad"]
    assert agent.path == str(tmp_path / "Library/LaunchAgents" / f"{LABEL}.plist")
    assert agent.start == (("launchctl", "bootstrap", "gui/501", agent.path),)
    assert agent.text.startswith("<?xml")


def test_the_task_is_xml_as_the_schema_of_the_task_scheduler_has_it():
    command = [r"C:\Program Files\Python\pythonw.exe", "-m", "genrify_tagger", "watch", "--config", "C:\\my ü & b.toml"]
    task = scheduled_task(command, folder=r"C:\Users\ana\AppData\Local\genrify-tagger", user=r"PC\ana")
    assert task.content[:2] == b"\xff\xfe" or task.content[:2] == b"\xfe\xff"
    root = ElementTree.fromstring(task.content)
    names = {"t": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}Task" and root.get("version") == "1.2"
    assert root.findtext("t:Actions/t:Exec/t:Command", namespaces=names) == command[0]
    arguments = root.findtext("t:Actions/t:Exec/t:Arguments", namespaces=names)
    assert arguments == '-m genrify_tagger watch --config "C:\\my ü & b.toml"'
    # These are sequences in the schema; all other elements may come in any order.
    for path, order in (
        ("t:Triggers/t:LogonTrigger", ["Enabled", "UserId"]),
        ("t:Actions/t:Exec", ["Command", "Arguments"]),
    ):
        assert [child.tag.rpartition("}")[2] for child in root.find(path, names)] == order
    assert root.find("t:Actions", names).get("Context") == root.find("t:Principals/t:Principal", names).get("id")
    assert root.findtext("t:Settings/t:ExecutionTimeLimit", namespaces=names) == "PT0S"
    assert task.path == r"C:\Users\ana\AppData\Local\genrify-tagger\service.xml"


@pytest.mark.skipif(sys.platform == "win32", reason="runs shell commands")
def test_a_service_is_installed_replaced_and_removed_by_its_commands(tmp_path: Path):
    running = tmp_path / "running"
    service = NativeService(
        manager="a manager",
        path=str(tmp_path / "agents" / "service"),
        content=b"text",
        start=(("mkdir", str(running)),),  # fails if it runs already
        stop=(("rmdir", str(running)),),
        ask=("test", "-d", str(running)),
    )
    service.install(start=False)
    assert Path(service.path).read_bytes() == b"text" and not service.is_known()
    service.install()
    service.install()
    assert service.is_known()
    service.uninstall()
    assert not service.is_known() and not Path(service.path).exists()
    running.write_text("in the way")
    with pytest.raises(GenrifyError, match="failed: "):
        service.install()
