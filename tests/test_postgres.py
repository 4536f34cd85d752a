"""The program on a database server: lost connections, refusals, and passwords that nothing shows."""

import os
import shutil
import threading

import mutagen.flac
import pytest

from genrify_tagger.store import open_store, utc_now
from genrify_tagger.store.db_errors import hide_password
from tests import media
from tests.store_databases import new_url
from tests.test_scan import SURE
from tests.watching import watching

SECRET = "topsecret"
NOWHERE = f"postgresql://tagger:{SECRET}@127.0.0.1:1/music"


@pytest.fixture
def url(tmp_path):
    return new_url("postgresql", tmp_path)


@pytest.fixture
def songs(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    first = media.make("mp3-v2.3", folder)
    for number in range(20):
        copy = shutil.copy(first, folder / f"{number}.mp3")
        with open(copy, "ab") as file:
            file.write(f"{number}".encode() * 10)
    return folder


class Interrupter(threading.Thread):
    """Ends all connections to a database again and again while a run is going on, as a server that restarts does."""

    def __init__(self, url, run):
        super().__init__()
        self.url, self.done, self.ended = url.replace("+psycopg", ""), threading.Event(), 0
        self.first_look = f"SELECT count(*) FROM runs WHERE id = {run}"

    def run(self):
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            while not connection.execute(self.first_look).fetchone()[0] and not self.done.wait(0.01):
                pass
            while not self.done.wait(0.1) and self.ended < 20:  # on a busy machine it would be for ever
                found = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND datname = current_database() AND (state <> 'idle' OR random() < 0.2)"
                )
                self.ended += len(found.fetchall())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


def test_a_scan_and_an_undo_survive_lost_connections(program, songs, url):
    before = {path.name: path.read_bytes() for path in songs.iterdir()}
    with open_store(url):
        pass
    with Interrupter(url, 1) as interrupter:
        results = program.scan(*SURE, "--database", url, songs)
    assert interrupter.ended > 3
    assert {result["status"] for result in results} == {"tagged"}
    with open_store(url) as store:
        changes = list(store.changes())
        assert len(changes) == len({change.path for change in changes}) == 21
        assert {change.state for change in changes} == {"done"}
        assert store.last_run().status == "done"
    with Interrupter(url, 2):
        program("undo", "--database", url)
    assert {path.name: path.read_bytes() for path in songs.iterdir()} == before


def test_a_change_that_is_begun_twice_is_journalled_once(url):
    with open_store(url) as store:
        run = store.start_run("scan")
        change = {"path": "/a", "field": "genre", "before": None, "after": b"Jazz", "origin": "scan"}
        first = store.begin_change(run=run, **change)
        begun = store.change(first)
        row = {**change, "run": run, "state": "pending", "created_at": begun.created_at}
        assert store._insert(row, None) == first  # as after a commit whose answer was lost
        assert store._insert({**row, "created_at": utc_now()}, None) != first


def test_what_is_too_long_for_an_index_does_not_stop_a_scan(command_line, tmp_path, url):
    music = tmp_path / "music"
    music.mkdir()
    random = "".join(chr(65 + number * number % 8191) for number in range(5000))  # cannot be compressed much
    tagged = media.make("flac", music)
    audio = mutagen.flac.FLAC(tagged)
    audio["artist"] = audio["album"] = audio["title"] = audio["albumartist"] = random
    audio.save()
    deep = os.open(music, os.O_RDONLY)
    for number in range(14):
        os.mkdir(f"{number:x}".ljust(240, "x"), dir_fd=deep)
        deep = os.open(f"{number:x}".ljust(240, "x"), os.O_RDONLY, dir_fd=deep)
    os.close(os.open("song.mp3", os.O_CREAT, dir_fd=deep))
    results = command_line.scan(*SURE, "--database", url, music, status=1)
    by_name = {os.path.basename(result["path"]): result for result in results}
    assert by_name["song.flac"]["status"] == "tagged"
    assert by_name["song.mp3"]["status"] == "failed"
    assert by_name["song.mp3"]["error"].endswith(" bytes, and PostgreSQL can store 2,600")
    with open_store(url) as store:
        record = store.files([str(tagged)])[str(tagged)]
        assert record.artist and random.startswith(record.artist)
        assert record.artist_key.startswith("digest:") and record.album_key.startswith("digest:")


@pytest.mark.parametrize("command", ["scan", "watch", "status", "history", "undo", "learn", "similar", "db check"])
def test_without_a_server_there_is_one_line_without_password(command_line, songs, command):
    paths = [songs] if command in ("scan", "watch") else [songs / "0.mp3"] if command == "similar" else []
    done = command_line(*command.split(), "--database", NOWHERE, *paths, status=1)
    line = (
        "the database server at postgresql://tagger:***@127.0.0.1:1/music cannot be used: Connection refused; "
        "start it, or check the setting database.url\n"
    )
    assert done.stdout + done.stderr in (line, f"genrify-tag: {line}")


def test_a_database_that_is_not_there_is_named(command_line, url):
    server, _, options = url.partition("?")
    absent = f"{server.rpartition('/')[0]}/nix?{options}"
    done = command_line("status", "--database", absent, status=1)
    assert done.stderr == (
        'genrify-tag: the database server at postgresql://tagger@/nix cannot be used: database "nix" does not exist; '
        "create it on the server (createuser, createdb), or check database.url\n"
    )


def test_the_history_shows_no_password(command_line, songs, url):
    with_password = url.replace("tagger@", f"tagger:{SECRET}@")
    command_line("scan", *SURE, "--database", with_password, songs / "0.mp3")
    for arguments in (["history", "--format", "jsonl"], ["history"], ["config", "show"], ["status"]):
        shown = command_line(*arguments, "--database", with_password).stdout
        assert SECRET not in shown
        assert arguments != ["history", "--format", "jsonl"] or "tagger:***@" in shown


@pytest.mark.parametrize(
    "argument, shown",
    [
        (NOWHERE, "postgresql://tagger:***@127.0.0.1:1/music"),
        ("--database=postgresql://u:p@ss@h/d?host=x", "--database=postgresql://u:***@h/d?host=x"),
        ("postgresql://u@h/d?password=a&host=b", "postgresql://u@h/d?password=***&host=b"),
        ("/music/a:b@c/d.mp3", "/music/a:b@c/d.mp3"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
    ],
)
def test_passwords_in_arguments(argument, shown):
    assert hide_password(argument) == shown


def test_no_copy_while_the_service_runs(program, tmp_path, url):
    music = tmp_path / "music"
    music.mkdir()
    copy = tmp_path / "copy.db"
    with watching(program, "--database", url, music, ready=False) as service:
        song = media.make("mp3-v2.3", music)
        service.tagged(song)
        refused = program("db", "copy", "--database", url, copy, status=1)
        assert f"another genrify-tag watch (process {service.process.pid}" in refused.stderr
        assert refused.stderr.endswith("; stop it first\n")
        assert not copy.exists()
        assert service.end() == 0
    program("db", "copy", "--database", url, copy)
    assert copy.exists()
