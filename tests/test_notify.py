"""Players are told after each run that changed files: a real MPD, and HTTP servers that check as media servers do."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from genrify_tagger.config import NotifySettings, effective_toml, load_settings
from genrify_tagger.notify import ChangedFiles, PlayerNotifier, tell_players
from genrify_tagger.notify.changed_files import MAX_FOLDERS
from tests import tagging
from tests.page import serving
from tests.players import KEY, http_server, jellyfin, navidrome, plex
from tests.watching import SURE, genre, song, until, watching


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@contextmanager
def running_mpd(music, work, more=""):
    """Run MPD at a socket and a TCP port; yield both addresses, and a function that returns a song's genre in MPD."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tagging.mpd(music, work, f'bind_to_address "127.0.0.1"\nport "{port}"\n{more}') as ask:

        def genre_of(name):
            found = [value for key, value in ask(f'listallinfo "{name}"') if key == "Genre"]
            return found[0] if found else None

        yield f"127.0.0.1:{port}", str(work / "mpd.sock"), genre_of


@pytest.mark.parametrize("by_socket", [False, True])
def test_mpd_shows_the_new_genre_after_scan_set_and_undo(program, music, tmp_path, by_socket):
    album = music / 'One "quoted" album'
    album.mkdir()
    path = song(album, "song", "flac")
    name = f'One \\"quoted\\" album/{path.name}'
    with running_mpd(music, tmp_path) as (tcp, at_socket, genre_of):
        known = {"GENRIFY_NOTIFY__MPD": at_socket if by_socket else tcp}
        assert genre_of(name) is None
        time.sleep(1.1)  # MPD compares times in seconds
        (result,) = program.scan(music, *SURE, **known)
        until(lambda: genre_of(name) == result["genres"][0])
        time.sleep(1.1)
        program("set", path, "Zydeco", **known)
        until(lambda: genre_of(name) == "Zydeco")
        time.sleep(1.1)
        program("undo", **known)
        until(lambda: genre_of(name) == result["genres"][0])
        time.sleep(1.1)
        program("set", path, "Polka", "--no-notify", **known)
        time.sleep(1)
        assert genre_of(name) == result["genres"][0]
        told = program("notify", album, **known).stdout
        assert ("updates 1 folder" if by_socket else "updates its whole library") in told
        until(lambda: genre_of(name) == "Polka")


def test_mpd_learns_of_the_genre_from_the_service(program, music, tmp_path):
    with (
        running_mpd(music, tmp_path) as (_, at_socket, genre_of),
        watching(program, music, GENRIFY_NOTIFY__MPD=at_socket) as service,
    ):
        path = song(music, "song", "flac")
        (found,) = service.tagged(path)
        until(lambda: genre_of(path.name) == found)


def test_a_password_of_mpd_is_sent_and_a_wrong_one_reported(music, tmp_path):
    (music / "Abba").mkdir()
    more = f'password "{KEY}@read,add,control,admin"\ndefault_permissions "read"\n'
    more += 'local_permissions "read,add,control,admin"\n'
    with running_mpd(music, tmp_path, more) as (tcp, at_socket, _):
        changed = ChangedFiles(folders={str(music / "Abba")})
        found = [
            tell_players(NotifySettings(mpd=address, mpd_password=password), changed)[0]
            for address, password in [(tcp, KEY), (at_socket, KEY), (tcp, ""), (tcp, "other"), (at_socket, "other")]
        ]
    assert [(answer.text, answer.failed) for answer in found] == [
        ("updates its whole library", False),
        ("updates 1 folder", False),
        ('you don\'t have permission for "update"', True),
        ("incorrect password", True),
        ("incorrect password", True),
    ]


# --- media servers ---


def changed_in(*folders):
    return ChangedFiles(1, 2, set(map(str, folders)))


def test_navidrome_is_told_with_a_token_made_from_the_password(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{KEY}\n")
    with http_server(navidrome) as (address, asked):
        user = {"navidrome": address, "navidrome_user": "ana"}
        for given in ({"navidrome_password": KEY}, {"navidrome_password_file": str(file)}):
            (answer,) = tell_players(NotifySettings(**user, **given), changed_in("/x"))
            assert (answer.text, answer.failed) == ("scans its library", False)
        (wrong,) = tell_players(NotifySettings(**user, navidrome_password="guess"), changed_in("/x"))
        (none,) = tell_players(NotifySettings(**user), changed_in("/x"))
        (no_file,) = tell_players(NotifySettings(**user, navidrome_password_file="/none"), changed_in("/x"))
    assert (wrong.text, wrong.failed) == ("Wrong username or password", True)
    assert none.text == "notify.navidrome_password is not set"
    assert no_file.text == "notify.navidrome_password_file cannot be read: No such file or directory"
    assert len({request.query["s"] for request in asked}) == 3
    assert not any(KEY in str(request.query) for request in asked)


@pytest.mark.parametrize("name", ["jellyfin", "emby"])
def test_jellyfin_and_emby_are_told_the_folders_where_they_have_them(music, name):
    start = "/emby" if name == "emby" else ""
    with http_server(jellyfin("/music", str(music), emby=name == "emby")) as (address, asked):
        settings = NotifySettings(**{name: address, f"{name}_key": KEY}, paths={"/srv/music": "/music"})
        (inside,) = tell_players(settings, changed_in(music / "Abba/Gold", "/srv/music/Björk"))
        assert asked[-1].path == f"{start}/Library/Media/Updated"
        assert {one["Path"] for one in asked[-1].body["Updates"]} == {f"{music}/Abba/Gold", "/music/Björk"}
        (outside,) = tell_players(settings, changed_in(music / "Abba", "/elsewhere"))
        assert (asked[-1].method, asked[-1].path) == ("POST", f"{start}/Library/Refresh")
        (wrong,) = tell_players(NotifySettings(**{name: address, f"{name}_key": "guess"}), changed_in(music))
    assert (inside.text, outside.text) == ("scans 2 folders", "scans its whole library")
    assert wrong.failed
    assert wrong.text == "401 Unauthorized"


def test_plex_is_told_the_folders_of_its_music_library(music):
    with http_server(plex("/data/music")) as (address, asked):
        settings = NotifySettings(plex=f"{address}", plex_token=KEY, paths={str(music): "/data/music"})
        (inside,) = tell_players(settings, changed_in(music / "R&B + Soul"))
        assert (asked[-1].path, asked[-1].query) == ("/library/sections/4/refresh", {"path": "/data/music/R&B + Soul"})
        (outside,) = tell_players(settings, changed_in("/elsewhere"))
        assert (asked[-1].path, asked[-1].query) == ("/library/sections/4/refresh", {})
        (wrong,) = tell_players(NotifySettings(plex=address, plex_token="guess"), changed_in(music))
    assert (inside.text, outside.text, wrong.text) == ("scans 1 folder", "scans its whole library", "401 Unauthorized")


def test_an_answer_of_something_else_is_reported(music):
    with http_server(lambda _: (200, ["hello"])) as (address, _):
        keys = {"navidrome_user": "ana", "navidrome_password": KEY, "plex_token": KEY}
        answers = tell_players(NotifySettings(navidrome=address, plex=address, **keys), changed_in(music))
    assert [answer.text for answer in answers] == ["the answer is not the expected one; is the URL right?"] * 2
    with http_server(lambda _: (302, None)) as (address, asked):
        (moved,) = tell_players(NotifySettings(jellyfin=address, jellyfin_key=KEY), changed_in(music))
        assert len(asked) == 2  # neither followed
    assert moved.text == "302 Found; it has moved to https://example.org/there"


def test_of_many_changed_folders_the_one_above_is_told(music):
    deep = changed_in(music / "A", music / "A/1", music / "A/2", music / "AB")
    assert deep.folders_for([str(music)], {}) == {str(music): [f"{music}/A", f"{music}/AB"]}
    many = changed_in(*(music / "New" / str(number) for number in range(MAX_FOLDERS + 1)))
    assert many.folders_for([str(music)], {}) == {str(music): [f"{music}/New"]}
    assert changed_in().folders_for([str(music)], {}) is None


# --- players that are away, secrets ---


def test_players_that_are_away_cost_a_line_each_and_little_time(program, music, tmp_path):
    path = song(music)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, but never answers
        nowhere = f"127.0.0.1:{silent.getsockname()[1]}"
        file = tmp_path / "plex_token"
        file.write_text(KEY)
        config = tmp_path / "settings.toml"
        config.write_text(
            f'[notify]\nmpd = "127.0.0.1:1"\nmpd_password = "{KEY}"\nnavidrome = "http://{nowhere}"\n'
            f'navidrome_user = "ana"\nnavidrome_password = "{KEY}"\njellyfin = "http://{nowhere}/jellyfin"\n'
            f'jellyfin_key = "{KEY}"\nplex = "http://{nowhere}"\nplex_token_file = "{file}"\n'
            f'url = "POST http://ana:{KEY}@127.0.0.1:1/hook?key={KEY}"\ncommand = "false {KEY}"\n'
        )
        before = time.monotonic()
        program("set", path, "Zydeco", "--no-notify", "--config", config)
        alone = time.monotonic() - before
        before = time.monotonic()
        done = program("set", path, "Polka", "--verbose", "--config", config)
        assert time.monotonic() - before < alone + 10
    assert genre(path) == ["Polka"]
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert [
        re.sub(r".*warning: (\w+) .*was not told that files have changed: .+", r"\1", line) for line in warnings
    ] == [*("mpd", "navidrome", "jellyfin", "plex", "url", "command")]
    shown = program("config", "show", "--config", config).stdout
    assert KEY not in done.stdout + done.stderr + shown
    assert program("notify", "--config", config, status=1).stdout.count("failed: ") == 6
    database = b"".join(file.read_bytes() for file in program.database.parent.glob("*") if file.is_file())
    assert KEY.encode() not in database


def test_secrets_are_not_in_messages_about_settings():
    for variable, value in {
        "NAVIDROME": f"http://ana:{KEY}@host:4533",
        "PLEX": f"http://host/?X-Plex-Token={KEY}",
        "MPD": f"{KEY}@localhost",
        "URL": f"ftp://{KEY}",
    }.items():
        with pytest.raises(Exception, match=f"notify.{variable.lower()} must") as caught:
            load_settings(environ={f"GENRIFY_NOTIFY__{variable}": value})
        assert KEY not in str(caught.value)


def test_without_a_player_notify_says_how_to_add_one(program):
    done = program("notify", status=2)
    assert 'add one, as in mpd = "localhost:6600"' in done.stderr


def test_a_dry_run_and_a_run_without_changes_tell_nobody(program, music):
    path = song(music, genre="Theirs")
    with http_server() as (address, asked):
        program.scan(music, GENRIFY_NOTIFY__URL=address)
        program("set", path, "Theirs", GENRIFY_NOTIFY__URL=address)
        program.scan(music, "--dry-run", "--existing", "replace", *SURE, GENRIFY_NOTIFY__URL=address)
        assert asked == []
        program("set", path, "Mine", GENRIFY_NOTIFY__URL=address)
        assert [str(request) for request in asked] == ["GET /"]


def test_genres_tidy_tells_once(program, music):
    for number, name in enumerate(["Hip-Hop", "Hip-Hop", "hip hop"]):
        song(music, f"song{number}", genre=name)
    program.scan(music)
    with http_server() as (address, asked):
        program("genres", "tidy", GENRIFY_NOTIFY__URL=address)
        assert asked == []
        program("genres", "tidy", "--write", GENRIFY_NOTIFY__URL=address)
        assert len(asked) == 1


def test_the_page_tells_once_of_several_quick_changes(program, music):
    paths = [song(music, f"song{number}", "flac") for number in range(3)]
    program.scan(music)
    with http_server() as (address, asked), serving(program, GENRIFY_NOTIFY__URL=address) as page:
        ids = [track["id"] for track in page.get("/api/tracks").json["tracks"]]
        for one in ids:
            page.post("/api/genres", {"ids": [one], "genres": ["Zydeco"]})
        until(lambda: asked)
        assert [genre(path) for path in paths] == [["Zydeco"]] * 3
        time.sleep(4)
        assert len(asked) == 1


# --- the user's own hooks ---


@pytest.mark.parametrize(
    ("given", "command", "url"),
    [
        ("mpc update", "mpc update", ""),
        ("http://localhost/scan", "", "http://localhost/scan"),
        ("post http://localhost/scan", "", "post http://localhost/scan"),
        ("", "", ""),
    ],
)
def test_the_former_setting_goes_on_working(tmp_path, given, command, url):
    file = tmp_path / "settings.toml"
    file.write_text(f"[watch]\nafter_batch = '{given}'\n")
    for loaded in (
        load_settings(config_file=str(file), environ={}),
        load_settings(environ={"GENRIFY_WATCH__AFTER_BATCH": given}),
    ):
        assert (loaded.settings.notify.command, loaded.settings.notify.url) == (command, url)
    assert given not in effective_toml(loaded) or not given


@contextmanager
def answering(*answers):
    """Answer one call after another with these bytes, and count them."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for answer in answers:
                caller, _ = server.accept()
                with caller:
                    calls.append(caller.recv(4096))
                    caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", calls
        thread.join()


def tell(players, number=1):
    """Tell players in the background, and wait till that is done."""
    players.notify(ChangedFiles(number, 1, {"/x"}))
    until(lambda: players.is_idle)


def test_an_answer_that_is_not_http_does_not_end_all_calls(caplog):
    with answering(b"this is no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n") as (address, calls):
        players = PlayerNotifier(NotifySettings(url=f"http://{address}/scan?u=J\u00fcrg&p=secret"))
        tell(players)
        assert caplog.messages == [
            f"url (http://{address}/scan) was not told that files have changed: the answer is not HTTP"
        ]
        tell(players)
    assert len(calls) == 2 and calls[1].startswith(b"GET /scan?u=J%C3%BCrg&p=secret ")
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    "settings",
    [
        NotifySettings(url="http://[bad/?p=secret"),
        NotifySettings(url="http://ana:secret@127.0.0.1:1/"),
        NotifySettings(command="false secret; exit 3"),
    ],
)
def test_a_failing_hook_is_logged_without_secrets(settings, caplog):
    players = PlayerNotifier(settings)
    tell(players), tell(players)
    assert len(caplog.messages) == 2 and "secret" not in caplog.text


def test_background_processes_of_a_command_are_not_waited_for(tmp_path, caplog):
    pid = tmp_path / "pid"
    players = PlayerNotifier(NotifySettings(command=f'sleep 600 & echo $! > "{pid}"; echo "it \\"broke\\""; exit 3'))
    try:
        tell(players)
        assert caplog.messages == ['command was not told that files have changed: ended with status 3 (it "broke")']
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_command_that_runs_at_the_end_of_the_service_is_stopped(tmp_path):
    pid = tmp_path / "pid"
    players = PlayerNotifier(NotifySettings(command=f'echo $$ > "{pid}"; exec sleep 600'))
    players.notify(ChangedFiles(1, 1, {"/x"}))
    until(pid.exists)
    players.close(0.1)
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists(), seconds=5)


def test_an_interrupted_scan_tells_of_what_it_wrote(program, music):
    for number in range(12):
        song(music, f"song{number:02}", "flac")
    with http_server() as (address, asked):
        environment = program.environment(GENRIFY_NOTIFY__URL=address)
        process = program.start(
            "scan", music, *SURE, "--jobs", "1", "--format", "jsonl", stdout=subprocess.PIPE, env=environment
        )
        with process.stdout as results:
            results.readline()
            process.send_signal(signal.SIGINT)
            results.read()
        assert process.wait(30) == 130
        assert len(asked) == 1
    assert genre(music / "song00.flac")
