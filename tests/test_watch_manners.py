"""The service's interfaces: systemd, logs, settings, monitoring, media servers."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from genrify_tagger.config import load_settings
from genrify_tagger.watch import systemd_units
from genrify_tagger.watch.daemon import Service
from genrify_tagger.watch.service_state import state_path
from tests import media
from tests.players import http_server
from tests.watching import genre, logged, song, until, watching


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


class Manager:
    """The service manager's end of a notify socket."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(0.2)
        self.messages = []

    def received(self, beginning):
        """Receive what has come, and return the messages that begin so."""
        while True:
            try:
                self.messages += self._socket.recv(4096).decode().splitlines()
            except TimeoutError:
                return [message for message in self.messages if message.startswith(beginning)]

    def close(self):
        self._socket.close()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_notified_of_readiness_status_life_reload_and_end(program, music, tmp_path, kind):
    address = str(tmp_path / "notify") if kind == "path" else f"@genrify-test-{os.getpid()}"
    manager = Manager(address if kind == "path" else "\0" + address[1:])
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
    try:
        with watching(program, music, ready=False, **environment) as service:
            until(lambda: manager.received("READY=1"))
            path = song(music, "song")
            service.tagged(path)
            until(lambda: any("1 tagged" in status for status in manager.received("STATUS=")))
            pings = len(manager.received("WATCHDOG=1"))
            time.sleep(3)
            assert 2 <= len(manager.received("WATCHDOG=1")) - pings <= 8  # every half second or so would be 6
            service.process.send_signal(signal.SIGHUP)
            until(lambda: manager.received("RELOADING=1") and len(manager.received("READY=1")) == 2)
            assert manager.received("MONOTONIC_USEC=")
            assert service.end() == 0
            until(lambda: manager.received("STOPPING=1"))
    finally:
        manager.close()


def test_settings_are_read_again_on_sighup_and_bad_ones_change_nothing(program, music, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[library]\nroots = ["{music}"]\n[tagging.names]\njazz = "One"\n')
    with watching(program, "--config", settings) as service:
        first = song(music, "first")
        assert service.tagged(first) == ["One"]
        settings.write_text(f'[library]\nroots = ["{music}"]\n[taging]\nexisting = "keep"\n')
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "unknown section [taging]" in service.words)
        second = song(music, "second", "flac")
        assert service.tagged(second) == ["One"]
        settings.write_text(f'[library]\nroots = ["{music}"]\n[analysis]\nvocabulary = "nonsense"\n')
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "nonsense" in service.words)
        third = song(music, "third", "opus")
        assert service.tagged(third) == ["One"]
        more = tmp_path / "more"
        fourth = song(more, "fourth", "wav")
        settings.write_text(f'[library]\nroots = ["{music}", "{more}"]\n[tagging.names]\njazz = "Two"\n')
        service.process.send_signal(signal.SIGHUP)
        assert service.tagged(fourth) == ["Two"]
        state = service.rest()
        assert [root["path"] for root in state["roots"]] == [str(music), str(more)]
        assert state["counts"]["tagged"] == 4  # it counts on
        assert genre(first) == ["One"]


def test_lines_for_the_journal_have_a_level_and_no_time(program, music):
    broken = music / "broken.flac"
    broken.write_bytes(b"no song\0" * 1000)
    log = program.home / "journal"
    with log.open("wb") as stream:
        stat = os.fstat(stream.fileno())
        process = subprocess.Popen(
            program.command("watch", "--settle", "0.2", music),
            env=program.environment(JOURNAL_STREAM=f"{stat.st_dev}:{stat.st_ino}"),
            stderr=stream,
        )
        try:
            until(lambda: b"failed" in log.read_bytes())
        finally:
            process.terminate()
            assert process.wait(10) == 0
    lines = log.read_text().splitlines()
    assert f"<6>watching {music} (events)" in lines
    assert any(line.startswith("<4>") and str(broken) in line for line in lines)
    assert not any(re.search(r"\d\d:\d\d", line) for line in lines)


def test_elsewhere_lines_have_a_time_and_on_request_they_are_json(program, music):
    path = song(music, "song")
    with watching(program, music) as service:
        service.tagged(path)
        service.rest()
        lines = service.words.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines) and len(lines) == 2
    path.unlink()
    with watching(program, "--log-format", "json", music) as service:
        path = song(music, "other", "flac")
        service.tagged(path)
        service.rest()
        (told,) = [line for line in logged(service) if "status" in line]
    assert (told["path"], told["status"], told["level"]) == (str(path), "tagged", "info") and told["genres"]


def test_status_shows_the_service_to_people_programs_and_monitors(program, music):
    assert "no service" in program("status", "--health", status=1).stdout
    assert json.loads(program("status", "--format", "json").stdout)["service"] is None
    with watching(program, music, settle=3) as service:
        path = song(music / "album", "song")
        until(lambda: service.state()["queue"] == 1)
        assert "  1 file queued; " in program("status").stdout
        service.tagged(path)
        service.rest()
        shown = program("status").stdout
        assert f"process {service.process.pid}" in shown and "tagged" in shown
        assert re.search(rf"events +{music}, 2 folders", shown) and str(path) in shown
        state = json.loads(program("status", "--format", "json").stdout)["service"]
        assert state["pid"] == service.process.pid and state["last_file"] == str(path)
        assert state["roots"] == [{"path": str(music), "watching": "native", "folders": 2, "reason": None}]
        assert (state["queue"], state["counts"], state["failures"]) == (0, {"tagged": 1}, [])
        assert state["last_result"]["status"] == "tagged" and "scores" not in state["last_result"]
        assert program("status", "--health").stdout == "the service is healthy\n"
        assert json.loads(program("status", "--health", "--format", "json").stdout)["healthy"] is True
    assert program("status", "--health", status=1).stdout == "no service is running\n"


def test_a_service_on_another_machine_is_gone_once_it_reports_its_end(program, music):
    words = program.database.with_name("library.db.watch.json")

    def moved_elsewhere():
        found = json.loads(words.read_text())
        words.write_text(json.dumps({**found, "owner": f"elsewhere|{found['owner'].partition('|')[2]}"}))

    with watching(program, music) as service:
        service.rest()
        moved_elsewhere()
        assert program("status", "--health").stdout == "the service is healthy\n"
    moved_elsewhere()
    assert program("status", "--health", status=1).stdout == "no service is running\n"


def test_a_clock_that_is_set_anew_does_not_make_it_look_silent(monkeypatch, music, tmp_path):
    """A computer without a clock of its own learns the time when the service has been running for a while."""
    overrides = {"database.url": str(tmp_path / "library.db")}
    service = Service(lambda: load_settings(environ={}, overrides=overrides).settings, [str(music)], lambda _: None)
    words = Path(state_path(overrides["database.url"]))
    found = []

    def set_the_clock():
        try:
            until(lambda: words.exists() and json.loads(words.read_text())["phase"] == "idle")
            time.sleep(2)
            before = words.stat().st_ino
            real = time.time
            monkeypatch.setattr(time, "time", lambda: real() + 86400)
            found.append(until(lambda: words.stat().st_ino != before))
        finally:
            service.flags.ask_to_stop()

    helper = threading.Thread(target=set_the_clock)
    helper.start()
    service.run()
    helper.join()
    assert found


@pytest.mark.parametrize("words", ["", "null", "[]", '{"phase": "idle", "owner": "x", "updated": "2026-01-01"}'])
def test_a_damaged_state_file_means_no_service(program, words):
    program.database.parent.mkdir(parents=True)
    program.database.with_name("library.db.watch.json").write_text(words)
    assert program("status", "--health", status=1).stdout == "no service is running\n"


def test_a_command_runs_once_after_a_batch_and_its_failure_is_logged(program, music, tmp_path):
    told = tmp_path / "told"
    command = f'echo "$GENRIFY_TAGGED $GENRIFY_RUN" >> "{told}"; echo it broke; exit 3'
    with watching(program, music, GENRIFY_WATCH__AFTER_BATCH=command) as service:
        for number, kind in enumerate(["flac", "opus", "wav"]):
            song(music, f"song{number}", kind)
        until(told.exists)
        time.sleep(1)
        (line,) = told.read_text().splitlines()
        tagged, run = line.split()
        assert tagged == "3"
        until(lambda: "ended with status 3 (it broke)" in service.words)
        assert "the setting watch.after_batch has become notify.command" in service.words
        kept = song(music, "has one", "flac", genre="Theirs")
        until(lambda: str(kept) in service.files())
        time.sleep(6)
        assert told.read_text().splitlines() == [line]  # nothing was tagged, nothing was told
        program("undo", run)
        assert not any(genre(path) for path in music.glob("song*"))


GET_SCAN = 'GET /rest/startScan {"u": "ana", "t": "26719a", "s": "c19b2d", "v": "1.16.1", "c": "genrify"}'


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("{}/rest/startScan?u=ana&t=26719a&s=c19b2d&v=1.16.1&c=genrify", GET_SCAN),
        ("POST {}/Library/Refresh?api_key=0123secret", 'POST /Library/Refresh {"api_key": "0123secret"}'),
        ("{}/fail?token=0123secret", 'GET /fail {"token": "0123secret"}'),
    ],
)
def test_an_address_is_called_after_a_batch_and_no_secret_is_logged(program, music, action, expected):
    with (
        http_server() as (address, asked),
        watching(program, music, GENRIFY_NOTIFY__URL=action.format(address)) as service,
    ):
        song(music, "one"), song(music, "two", "flac")
        until(lambda: asked)
        time.sleep(1)
        assert len(asked) == 1 and str(asked[0]) == expected
        if "fail" in action:
            until(lambda: "500" in service.words)
        assert "secret" not in service.words


def test_settings_that_are_read_again_do_not_end_a_command(program, music, tmp_path):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    command = f'touch "{begun}"; sleep 5; touch "{ended}"'
    with watching(program, music, GENRIFY_NOTIFY__COMMAND=command) as service:
        service.tagged(song(music))
        until(begun.exists)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "the settings were reloaded" in service.words)
        until(ended.exists)


def verified(path, *options):
    done = subprocess.run(
        [media.need("systemd-analyze"), *options, "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(path.parent)},
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_users_unit_is_written_verified_and_removed(program, tmp_path):
    folder = tmp_path / "My Music 100%"
    roots = {"GENRIFY_LIBRARY__ROOTS": str(folder)}
    assert "no library.roots to watch" in program("service", "install", status=2).stderr
    done = program("service", "install", "--no-start", **roots)
    unit = program.home / ".config/systemd/user" / systemd_units.NAME
    assert "the service will not see GENRIFY_LIBRARY__ROOTS" in done.stderr
    assert f"wrote {unit}" in done.stdout and "loginctl enable-linger" in done.stdout
    text = unit.read_text()
    assert (
        "Type=notify" in text
        and "Nice=19" in text
        and "IOSchedulingClass=idle" in text
        and "MemoryMax=" in text
        and "OOMPolicy=continue" in text
    )
    assert "NoNewPrivileges=yes" in text
    assert not re.search("Protect|ReadWritePaths|Private", text)  # they would hide who owns a file
    verified(unit, "--user")
    assert program("service", "install", "--print", **roots).stdout.strip() == text.strip()
    assert "installed: " in program("service", "status", status=1).stdout
    if not systemd_units.systemd_runs():
        refused = program("service", "install", status=1, **roots)
        assert "systemd is not running" in refused.stderr and "@reboot" in refused.stderr
    program("service", "uninstall")
    assert not unit.exists()
    assert "not installed" in program("service", "uninstall", status=1).stderr


def test_the_system_unit_is_sandboxed_and_verified(program, tmp_path):
    name = "daemon"  # every system has this user
    folder = tmp_path / "My Music 100%"
    settings = tmp_path / "Set$tings.toml"
    settings.write_text(
        f'[library]\nroots = ["{folder}", "/mnt/nas/music", "/srv/Ke$ha", "/srv/\u97f3\u697d"]\n'
        '[database]\nurl = "/srv/genrify/library.db"\n'
    )
    arguments = ("service", "install", "--system", "--user", name, "--print", "--config", settings)
    unit = tmp_path / systemd_units.NAME
    printed = program(*arguments)
    assert not printed.stderr
    unit.write_text(printed.stdout)
    lines = unit.read_text().splitlines()
    assert f"User={name}" in lines and "ProtectSystem=strict" in lines and "NoNewPrivileges=yes" in lines
    escaped = str(folder).replace("%", "%%")
    assert f'ReadWritePaths="-{escaped}"' in lines
    assert "ReadWritePaths=-/mnt/nas/music" in lines and "ReadWritePaths=-/srv/genrify" in lines
    assert "ReadWritePaths=-/srv/Ke$ha" in lines and "ReadWritePaths=-/srv/\u97f3\u697d" in lines
    start = f" watch --config {str(settings).replace('$', '$$')}"  # `$` is special in a command line only
    assert any(line.startswith("ExecStart=") and line.endswith(start) for line in lines)
    verified(unit)
    settings.write_text('[library]\nroots = ["/srv/two\\nlines"]\n')
    assert "a unit file cannot hold this name" in program(*arguments, status=1).stderr
    assert (
        "no such user: 'nobody-at-all'"
        in program(
            "service", "install", "--system", "--user", "nobody-at-all", "--print", "--config", settings, status=1
        ).stderr
    )
    assert "--user needs --system" in program("service", "install", "--user", name, status=2).stderr


def test_the_unit_starts_the_program_it_was_installed_by(program, music):
    text = program("service", "install", "--print", GENRIFY_LIBRARY__ROOTS=str(music)).stdout
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    started = shutil.which(line.split()[0])
    assert started and Path(started).samefile(str(program.command()[0]))


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_waiting_for_a_file_to_settle_costs_no_processor_time(program, music):
    with watching(program, music, settle=20) as service:
        service.rest()
        (music / "song.mp3").write_bytes(b"not yet a song")
        until(lambda: not service.is_idle())
        before = processor_seconds(service.process.pid)
        time.sleep(4)
        assert processor_seconds(service.process.pid) - before < 0.4
