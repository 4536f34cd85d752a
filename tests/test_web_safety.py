"""The page against other sites and users, hostile tags, decompression bombs, slow and greedy clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from genrify_tagger import web
from genrify_tagger.config import DatabaseSettings, Settings, WebSettings
from genrify_tagger.pipeline import open_session
from genrify_tagger.web import server
from genrify_tagger.web.auth import SHORTEST_TOKEN
from genrify_tagger.web.ids import track_id
from tests import media
from tests.page import CHANGING, Page, serving
from tests.program import Program

MARKUP = "<img src=x onerror=alert(1)>"
TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    program, music = Program(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("music")
    media.make("flac", music / f"Folder {MARKUP}", f"{MARKUP}'\"&", genre=f"{MARKUP}'\"")
    media.make("mp3-v2.3", music, "plain")
    program.scan(music)
    with serving(program, GENRIFY_WEB__UPLOAD_MB="2", GENRIFY_WEB__UPLOADS_MB="12") as page:
        yield program, music, page


@pytest.fixture
def page(made) -> Page:
    return made[2]


def test_a_file_that_goes_during_a_request_is_an_error_in_words(program, tmp_path, monkeypatch, caplog):
    song = media.make("flac", tmp_path / "music")
    program.scan(song)
    settings = replace(Settings(), database=DatabaseSettings(url=f"sqlite:///{program.database}"))
    with open_session(settings) as session, web.open_app_context(session) as context:
        follow = session.moves.follow

        def follow_what_is_gone(*arguments, **options):
            song.unlink()
            return follow(*arguments, **options)

        monkeypatch.setattr(session.moves, "follow", follow_what_is_gone)
        client = web.make_app(context).test_client()
        answer = client.get(f"/api/tracks/{track_id(str(song))}", headers={"Host": "localhost"})
    assert answer.status_code == 422, answer.json
    assert "no such file or directory" in answer.json["error"]
    assert not caplog.records


# --- who may ask ---


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8650", "127.0.0.1.evil.example", "localhost.evil", "[", ""]
)
def test_a_foreign_name_is_refused(page, host):
    for path in ("/", "/api/tracks", "/static/style.css"):
        assert page.ask("GET", path, headers={"Host": host}).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1234", "LOCALHOST:80", "[::1]:8650"])
def test_the_machine_s_own_names_are_served(page, host):
    assert page.ask("GET", "/", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**CHANGING, "Origin": "http://evil.example"},
        {**CHANGING, "Origin": "null"},
        {**CHANGING, "Origin": "http://127.0.0.1:1"},
        {**CHANGING, "Sec-Fetch-Site": "cross-site"},
        {**CHANGING, "Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/accept", "/api/genres", "/api/runs/1/undo", "/api/uploads", "/api/logout"])
def test_another_site_cannot_change_anything(page, headers, path):
    answer = page.ask("POST", path, b"{}", {"Content-Type": "text/plain", **headers})
    assert answer.status == 403


def test_another_site_may_link_but_not_read(page):
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert page.ask("GET", "/library", headers=visit).status == 200
    assert page.ask("GET", "/api/tracks", headers=visit).status == 403
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"}
    assert page.ask("GET", "/library", headers=embedded).status == 403


def test_every_answer_carries_the_headers(page):
    answers = [page.ask("GET", path) for path in ("/", "/library", "/api/tracks", "/static/style.css", "/none")]
    answers.append(page.ask("POST", "/api/accept"))
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Server" not in answer.headers


def test_no_page_needs_another_host_or_inline_script_or_style(page):
    for path in ("/", "/library", "/unsure", "/overview", "/history", "/history/1"):
        text = page.get(path, expect=None).text
        for tag, attributes in Elements(text).found:
            assert tag != "style" and (tag != "script" or "src" in attributes), path
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (path, tag)
            places = [attributes[name] for name in ("src", "href", "action") if name in attributes]
            assert all(place.startswith(("/", "#")) for place in places), (path, places)
    static = Path(__file__).parent.parent / "genrify_tagger/web/static"
    for file in static.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org)", file.read_text("utf-8")), file


# --- behind a reverse proxy ---


def test_a_proxy_that_rewrites_the_host_needs_its_name_in_the_settings(program):
    browser = {**CHANGING, "Origin": "https://music.example", "Sec-Fetch-Site": "same-origin"}
    with serving(program) as page:
        refused = page.ask("POST", "/api/logout", b"{}", browser)
        assert refused.status == 403 and "https://music.example" in refused.json["error"]
        assert "web.names" in refused.json["error"]
        unknown = page.ask("GET", "/", headers={"Host": "music.example"})
        assert unknown.status == 421 and "music.example" in unknown.text and "web.names" in unknown.text
    with serving(program, GENRIFY_WEB__NAMES='["music.example"]') as page:
        assert page.ask("POST", "/api/logout", b"{}", browser).status == 200
        assert page.ask("POST", "/api/logout", b"{}", {**browser, "Origin": "https://evil.example"}).status == 403
        assert page.ask("POST", "/api/logout", b"{}", {**browser, "Sec-Fetch-Site": "cross-site"}).status == 403
        assert page.ask("GET", "/", headers={"Host": "music.example"}).status == 200


def test_a_path_that_a_proxy_adds_is_refused_in_words_that_name_the_setting(page):
    for path in ("/genrify/", "/genrify/library", "/genrify/api/runs", "/api/genrify"):
        refused = page.ask("GET", path)
        assert refused.status == 404 and f"no page {path}; " in refused.text and "web.base_path" in refused.text
    assert "web.base_path" not in page.ask("GET", "/history/99999").text  # no matter of the proxy


def test_below_a_base_path_every_address_has_it(program, tmp_path):
    media.make("flac", tmp_path / "music")
    program.scan(tmp_path / "music")
    settings = {"GENRIFY_WEB__BASE_PATH": "/genrify/", "GENRIFY_WEB__TOKEN": TOKEN}
    with serving(program, "--host", "0.0.0.0", **settings) as page:
        assert page.ask("GET", "/genrify/library").headers["Location"] == "/genrify/login?to=%2Fgenrify%2Flibrary"
        data = json.dumps({"token": TOKEN}).encode()
        login = page.ask("POST", "/genrify/api/login", data, {**CHANGING, "Content-Type": "application/json"})
        assert login.status == 200 and "Path=/genrify/;" in login.headers["Set-Cookie"]
        page.headers["Cookie"] = login.headers["Set-Cookie"].split(";")[0]
        for prefix in ("/genrify", ""):  # a proxy may remove the path or leave it
            for path in ("/", "/library", "/unsure", "/overview", "/history", "/genres.css"):
                for _, attributes in Elements(page.get(prefix + path).text).found:
                    places = [attributes[name] for name in ("src", "href", "action") if name in attributes]
                    assert all(place.startswith(("/genrify/", "#")) for place in places), (path, places)
        track = page.get("/genrify/api/tracks").json["tracks"][0]["id"]
        sound = page.get(f"/genrify/api/tracks/{track}/sound").json["url"]
        assert sound.startswith("/genrify/api/") and page.get(sound).headers["Content-Type"] == "audio/flac"
        song = tmp_path / "music" / next(file.name for file in (tmp_path / "music").iterdir())
        headers = {**CHANGING, "X-File-Name": "song.flac"}
        assert page.ask("POST", "/genrify/api/uploads", song.read_bytes(), headers).status == 201
        assert page.get("/genrify/api/openapi.json").json["servers"] == [{"url": "/genrify"}]


# --- the token ---


def test_on_another_address_a_token_is_needed(program):
    done = program("serve", "--host", "0.0.0.0", "--port", "0", status=2)
    assert "token" in done.stderr and len(done.stderr.splitlines()) == 1
    program("serve", "--host", "0.0.0.0", "--port", "0", status=2, GENRIFY_WEB__TOKEN="x" * (SHORTEST_TOKEN - 1))


def test_nothing_is_shown_without_the_token(program, tmp_path):
    song = media.make("flac", tmp_path, genre="Jazz")
    program.scan(tmp_path)
    with serving(program, "--host", "0.0.0.0", GENRIFY_WEB__TOKEN=TOKEN) as page:
        assert page.ask("GET", "/").headers["Location"] == "/login"
        for path in ("/api/tracks", "/api/openapi.json", f"/api/tracks/{track_id(str(song))}/audio"):
            answer = page.ask("GET", path)
            assert answer.status == 401 and b"song" not in answer.body
        assert (
            page.ask("GET", "/library?q=a%20b&low=0.5").headers["Location"]
            == "/login?to=%2Flibrary%3Fq%3Da%2520b%26low%3D0.5"
        )
        early = page.ask("POST", "/api/uploads", b"x" * 5000, {**CHANGING, "X-File-Name": "a.mp3"})
        assert early.status == 401 and "token" in early.json["error"]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert page.ask("GET", "/api/tracks", headers=bearer).json["total"] == 1
        login = page.ask(
            "POST", "/api/login", f'{{"token": "{TOKEN}"}}'.encode(), {**CHANGING, "Content-Type": "application/json"}
        )
        cookie = login.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
        shown = {"Cookie": cookie.split(";")[0]}
        assert page.ask("GET", "/library", headers=shown).status == 200
        for to in ("/library?q=a%20b", "/", "/tracks/x"):
            answer = page.ask("GET", f"/login?to={quote(to)}", headers=shown)
            assert answer.status == 302 and answer.headers["Location"] == to
        for to in (
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "javascript:1",
            "x",
            "",
        ):
            assert page.ask("GET", f"/login?to={quote(to)}", headers=shown).headers["Location"] == "/"
            assert 'data-to="/"' in page.get(f"/login?to={quote(to)}").text
        assert page.ask("GET", "/api/tracks", headers={"Cookie": "genrify=guess"}).status == 401
        for _ in range(30):
            wrong = page.ask(
                "POST", "/api/login", b'{"token": "guess"}', {**CHANGING, "Content-Type": "application/json"}
            )
            assert wrong.status == 401
        assert page.ask("GET", "/api/tracks", headers=bearer).status == 401  # nobody guesses on
        assert page.ask("GET", "/library", headers=shown).status == 200  # who is in stays in
        assert page.ask("GET", "/", headers={"Host": "evil.example", **shown}).status == 421


# --- what is shown and opened ---


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_markup_in_names_and_tags_is_text(page):
    track = page.track("folder")
    page.post("/api/genres", {"ids": [track["id"]], "genres": [MARKUP]})
    paths = ["/library", "/overview", "/history", f"/tracks/{track['id']}", f"/library?q={MARKUP.replace(' ', '+')}"]
    paths += [f"/history/{run['run']}" for run in page.get("/api/runs").json["runs"]]
    for path in paths:
        text = page.get(path.replace("<", "%3C").replace(">", "%3E")).text
        assert "onerror" in text, path
        images = [attributes for tag, attributes in Elements(text).found if tag == "img"]
        assert all("onerror" not in attributes for attributes in images), path
    for script in (Path(__file__).parent.parent / "genrify_tagger/web/static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", script.read_text()
        )


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../etc/passwd", "/work", "", "/proc/self/environ", "\0", "/etc/passwd\0.mp3"]
)
@pytest.mark.parametrize("what", ["audio", "sound", "picture", "mel.png", "opus", "similar"])
def test_no_path_opens_what_is_not_in_the_library(page, path, what):
    answer = page.ask("GET", f"/api/tracks/{track_id(path) or 'x'}/{what}")
    assert answer.status == 404 and b"root:" not in answer.body


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..\\app.py"],
)
def test_static_files_are_those_of_the_page(page, path):
    answer = page.ask("GET", path)
    assert answer.status in {308, 400, 404} and b"root:" not in answer.body


def test_a_file_replaced_by_a_link_or_pipe_is_not_opened(program, tmp_path):
    music, secret = tmp_path / "music", tmp_path / "secret"
    secret.mkdir()
    (secret / "song.flac").write_bytes(b"secret")
    songs = [media.make("flac", music / folder, "song") for folder in ("a", "b", "c")]
    program.scan(music)
    songs[0].unlink()
    songs[0].symlink_to(secret / "song.flac")
    shutil.rmtree(songs[1].parent)
    songs[1].parent.symlink_to(secret)
    songs[2].unlink()
    os.mkfifo(songs[2])
    with serving(program) as page:
        for song in songs:
            for what in ("audio", "sound?converted=1", "picture"):
                answer = page.get(f"/api/tracks/{track_id(str(song))}/{what}", expect=None)
                assert answer.status in {404, 422}, (song, what, answer.body)
                assert b"secret" not in answer.body


# --- bombs, greed and patience ---


def test_a_body_that_is_too_large_is_not_read(page):
    for path, length in (("/api/uploads", 3 << 20), ("/api/uploads", 1 << 40), ("/api/accept", 2 << 20)):
        connection = http.client.HTTPConnection(page.host, page.port, timeout=20)
        connection.putrequest("POST", path)
        for name, value in {**CHANGING, "X-File-Name": "a.mp3", "Content-Length": str(length)}.items():
            connection.putheader(name, value)
        connection.endheaders(b"x" * 1000)
        started = time.monotonic()
        answer = connection.getresponse()
        assert answer.status == 413 and refused(answer)
        assert time.monotonic() - started < 3
        connection.close()


def test_a_body_of_unknown_length_is_refused(page):
    connection = http.client.HTTPConnection(page.host, page.port, timeout=20)
    connection.putrequest("POST", "/api/uploads")
    for name, value in {**CHANGING, "X-File-Name": "a.mp3", "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 411 and "Content-Length" in refused(answer)
    connection.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/uploads", {"X-File-Name": "a.mp3"}, 403),
        ("/api/accept", {}, 403),
        ("/api/uploads", {**CHANGING, "X-File-Name": "a.mp3", "Host": "evil.example"}, 403),
        ("/api/uploads", {**CHANGING, "X-File-Name": "a.txt"}, 415),
        ("/api/uploads", CHANGING, 415),
        ("/api/tracks", {"X-Much": "x" * 70_000}, 431),
        ("/api/uploads", {**CHANGING, "Content-Length": "-1"}, 400),
    ],
)
def test_every_refusal_below_the_api_is_json(page, path, headers, status):
    with contextlib.closing(http.client.HTTPConnection(page.host, page.port, timeout=20)) as connection:
        connection.putrequest("POST", path, skip_host="Host" in headers)
        for name, value in {"Content-Length": "1000", **headers}.items():
            connection.putheader(name, value)
        with contextlib.suppress(ConnectionError):  # it may be refused before all of it is sent
            connection.endheaders(b"x" * 1000)
        answer = connection.getresponse()
        assert answer.status == status and refused(answer)


def refused(answer) -> str:
    """Return why a request was refused, as every answer of the API says it."""
    assert answer.headers["Content-Type"] == "application/json"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    told = json.loads(answer.read())
    assert list(told) == ["error"] and told["error"]
    return told["error"]


def test_all_uploads_together_have_a_limit(made):
    page = made[2]
    songs = [page.ask("POST", "/api/uploads", b"x" * (1 << 20), {**CHANGING, "X-File-Name": "a.mp3"}) for _ in range(8)]
    assert [song.status for song in songs[:5]] == [201] * 5
    assert songs[-1].status == 507 and "no space" in songs[-1].json["error"]
    for song in songs:
        if song.status == 201:
            page.ask("DELETE", f"/api/uploads/{song.json['id']}", headers=CHANGING)
    assert page.upload(b"x" * (1 << 20), "a.mp3")["id"]


def test_decoders_run_in_limited_processes_only(made, tmp_path):
    """A song that floods a decoder's memory fails by itself, and the page stays as it is."""
    _, _, page = made
    bomb = tmp_path / "bomb.flac"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=30000", "-c:a", "flac", "-frame_size", "65535", bomb)
    assert bomb.stat().st_size < 2 << 20
    upload = page.analysed(bomb)
    assert upload["state"] in {"done", "failed"}
    answer = page.get(f"/api/uploads/{upload['id']}/picture", expect=None)
    assert answer.status in {200, 422}
    server = psutil.Process(page.process.pid)
    assert "av" not in {Path(one.path).parent.name for one in server.memory_maps()}
    assert server.memory_info().rss < 300 << 20
    assert page.get("/").status == 200


def test_slow_clients_do_not_hurt_others(page):
    slow = []
    try:
        for number in range(200):
            connection = socket.create_connection((page.host, page.port), timeout=10)
            if number % 2:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            else:
                head = b"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nX-Genrify: 1\r\nContent-Length: 9000\r\n\r\n"
                connection.sendall(head + b"x")
            slow.append(connection)
        for _ in range(5):
            started = time.monotonic()
            assert page.ask("GET", "/library").status == 200
            assert time.monotonic() - started < 1
    finally:
        for connection in slow:
            connection.close()


def test_a_body_that_never_ends_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "BODY_SECONDS", 1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    database = DatabaseSettings(url=f"sqlite:///{tmp_path / 'genrify.db'}")
    settings = replace(Settings(), database=database, web=replace(WebSettings(), port=0))
    with open_session(settings) as session, web.open_app_context(session) as context:
        listening = web.make_server(web.make_app(context), context)
        thread = threading.Thread(target=listening.run)
        thread.start()
        try:
            with socket.create_connection(("127.0.0.1", listening.port), timeout=0.2) as slow:
                head = "POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nX-Genrify: 1\r\nContent-Length: 999999\r\n\r\n"
                slow.sendall(head.encode())
                assert until_closed(slow)
        finally:
            listening.stop()
            thread.join()


def until_closed(connection: socket.socket) -> bool:
    """Send a byte now and then, so that nobody calls it idle, until the other side hangs up; false if it does not."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection.sendall(b"x")
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return True
    return False


def test_slow_clients_hold_no_thread(made, program, tmp_path):
    wav = tmp_path / "music" / "long.wav"
    wav.parent.mkdir()
    media.ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=200:r=44100", "-ac", "2", wav)
    program.scan(wav.parent)
    with serving(program) as page:
        listeners = []
        for _ in range(30):
            listener = socket.create_connection((page.host, page.port), timeout=10)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.sendall(f"GET /api/tracks/{track_id(str(wav))}/audio HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            listeners.append(listener)
        time.sleep(0.5)
        started = time.monotonic()
        assert page.ask("GET", "/").status == 200
        assert time.monotonic() - started < 1
        for listener in listeners:
            listener.close()


def test_many_at_once_are_all_answered(page):
    with ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(lambda number: page.ask("GET", ["/", "/api/tracks", "/library"][number % 3]).status, range(150))
        )
    assert answers == [200] * 150


# --- the temporary folder ---


def test_a_killed_server_s_songs_are_removed_at_the_next_start(program):
    cache = program.home / ".cache/genrify-tagger/page"
    process = subprocess.Popen(
        program.command("serve", "--port", "0"), stdout=subprocess.PIPE, text=True, env=program.environment()
    )
    assert process.stdout is not None
    port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
    Page(process, "127.0.0.1", port).upload(media.master("flac"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(list(cache.rglob("song.flac"))) == 1
    with serving(program) as page:
        assert list(cache.rglob("song.flac")) == []
        page.upload(media.master("flac"))
        assert len(list(cache.rglob("song.flac"))) == 1
        with serving(program):
            assert len(list(cache.rglob("song.flac"))) == 1  # the other one is at work
    assert list(cache.iterdir()) == []


def test_unused_songs_are_removed(program):
    cache = program.home / ".cache/genrify-tagger/page"
    with serving(program, GENRIFY_WEB__KEEP_MINUTES="0.05") as page:
        upload = page.analysed(media.master("flac"))
        deadline = time.monotonic() + 20
        while list(cache.rglob("song.flac")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        page.get(f"/api/uploads/{upload['id']}", expect=404)
