"""The container: the image is built by its recipe, and run as users run it, with as few rights as possible."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request

import pytest

from tests.container import ROOT, built_image, need_podman
from tests.watching import genre, song, until

# The short clips are no test of the model, and nobody else writes them.
EVERYTHING = ("--env=GENRIFY_TAGGING__MIN_CONFIDENCE=0.05", "--env=GENRIFY_WATCH__SETTLE_SECONDS=0.2")


@pytest.fixture(scope="module")
def podman():
    need_podman()
    with built_image() as built:
        yield built


@pytest.fixture
def music(tmp_path):
    os.chmod(tmp_path, 0o755)
    folder = tmp_path / "music"
    folder.mkdir()
    give(song(folder, "a song"), 1000, 1000)
    return give(folder, 1000, 1000)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return give(folder, 1000, 1000)


def give(path, user, group):
    os.chown(path, user, group)
    return path


def test_the_first_start_tags_what_is_mounted_and_serves_the_page(podman, music, data):
    settings = [
        "--volume",
        f"{music}:/music",
        "--volume",
        f"{data}:/data",
        *EVERYTHING,
        "--env=GENRIFY_WEB__PORT=18650",
    ]
    podman.run("--detach", "--name=first", *settings)
    try:
        until(lambda: genre(music / "a song.mp3"), what=podman("logs", "first").stderr)
        until(lambda: podman("healthcheck", "run", "first", check=False).returncode == 0)
        logged = podman("logs", "first")
        said = logged.stdout + logged.stderr
        assert "/data/genrify-tagger/config.toml: settings for the first start" in said
        assert "songs in /music that have no genre get one" in said
        token = re.search(r"its token is (\S+)", said).group(1)
        page = urllib.request.Request("http://127.0.0.1:18650/api/genres", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(page, timeout=20) as answer:
            assert answer.status == 200
        until(lambda: "Service: idle" in podman("exec", "first", "genrify-tag", "status").stdout)
    finally:
        podman("stop", "--time=20", "first", check=False)
    assert podman("inspect", "--format={{.State.ExitCode}}", "first").stdout.strip() == "0"
    assert (music / "a song.mp3").stat().st_uid == 1000
    again = podman.run("--rm", *settings, command=["history", "--format", "jsonl"]).stdout
    assert json.loads(again.splitlines()[0])["command"] == "watch"


def test_started_as_root_it_becomes_the_user_that_is_asked_for(podman, music, data):
    for path in (music, *music.iterdir()):
        give(path, 1026, 100)
    give(data, 0, 0)  # as Docker makes the folder of a new volume
    who = ["--user=0", "--env=PUID=1026", "--env=PGID=100", "--env=UMASK=027", "--env=TZ=Asia/Tokyo", *EVERYTHING]
    done = podman.run(
        *("--rm", "--cap-add=CHOWN,SETUID,SETGID", *who, "--volume", f"{music}:/music", "--volume", f"{data}:/data"),
        command=["scan", "--format", "jsonl", "/music"],
    )
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["tagged"]
    database = (data / "genrify-tagger/library.db").stat()
    assert (database.st_uid, database.st_gid, database.st_mode & 0o777) == (1026, 100, 0o640)
    zone = ["--rm", "--env=TZ=Asia/Tokyo", "--entrypoint=python"]
    assert podman.run(*zone, command=["-c", "import time; print(*time.tzname)"]).stdout.split() == ["JST", "JST"]


def case_of(name, music, data):
    """Return the options of a start that cannot work, and what its one line says."""
    mounts = {"/music": f"{music}:/music", "/data": f"{data}:/data"}
    options = []
    if name == "the music is not mounted":
        del mounts["/music"]
        said = "/music: is empty; mount your library there"
    elif name == "the music is another user's":
        give(music, 1026, 100)
        music.chmod(0o700)
        said = (
            r"/music: user 1000:1000 cannot read here; it belongs to 1026:100 \(mode 700\); start with --user 1026:100"
        )
    elif name == "a root is missing":
        options = ['--env=GENRIFY_LIBRARY__ROOTS=["/elsewhere"]']
        said = "/elsewhere: no such folder"
    elif name == "the data is read-only":
        mounts["/data"] += ":ro"
        said = "/data: is mounted read-only, but holds the database"
    elif name == "the data is root's":
        give(data, 0, 0)
        said = r"/data: user 1000:1000 cannot write here; it belongs to root \(mode 755\); on the host, chown 1000:1000"
    elif name == "PUID is not the user":
        options = ["--env=PUID=1026", "--env=PGID=100"]
        said = "PUID and PGID are 1026:100, but the container runs as 1000:1000; start it with --user 1026:100"
    else:
        options = ["--env=UMASK=rwx"]
        said = "UMASK is 'rwx'; it is an octal number"
    return [*options, *(part for mount in mounts.values() for part in ("--volume", mount))], said


@pytest.mark.parametrize(
    "name",
    [
        "the music is not mounted",
        "the music is another user's",
        "a root is missing",
        "the data is read-only",
        "the data is root's",
        "PUID is not the user",
        "the umask is none",
    ],
)
def test_what_cannot_work_is_one_line(podman, music, data, name):
    config = data / "genrify-tagger"
    config.mkdir()
    give(config, 1000, 1000)
    (config / "config.toml").write_text('[library]\nroots = ["/music"]\n')
    options, said = case_of(name, music, data)
    done = podman.run("--rm", *options, check=False)
    lines = [line for line in done.stderr.splitlines() if "healthchecks" not in line]  # podman's own, without systemd
    assert done.returncode == 2 and len(lines) == 1, done.stdout + done.stderr
    assert re.match(f"genrify-tag: {said}", lines[0])


def test_music_that_cannot_be_written_is_said_and_analysed(podman, music, data):
    podman.run("--detach", "--name=ro", "--volume", f"{music}:/music:ro", "--volume", f"{data}:/data", *EVERYTHING)
    try:
        until(lambda: "failed" in podman("exec", "ro", "genrify-tag", "status").stdout)
        assert "/music: is mounted read-only; songs are analysed, but no genre" in podman("logs", "ro").stderr
    finally:
        podman("rm", "--force", "--time=20", "ro")


def test_the_image_is_small_and_has_no_tools_to_build_with(podman):
    size = int(podman("image", "inspect", "--format={{.Size}}", podman.image).stdout)
    assert size < 450_000_000
    look = "import shutil, importlib.util as u; print(*map(shutil.which, ('cc', 'gcc', 'make')), u.find_spec('pip'))"
    assert podman.run("--rm", "--entrypoint=python", command=["-c", look]).stdout.strip() == "None None None None"


# --- without a container ---


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"UMASK": "abc"}, "UMASK is 'abc'; it is an octal number such as 022"),
        ({"PUID": "me"}, "PUID is 'me'; it is a number; 'id' on the host prints yours"),
    ],
)
def test_a_wrong_number_is_one_line(environment, said):
    done = subprocess.run(
        [sys.executable, "-m", "genrify_tagger.container"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, f"genrify-tag: {said}\n")


def test_the_recipe_copies_what_the_package_is_built_from():
    ignored = (ROOT / ".containerignore").read_text()
    assert ignored == (ROOT / ".dockerignore").read_text()
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"].values()
    kept = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    assert {folder.split("/")[0] for folder in folders} | {"pyproject.toml", "README.md", "LICENSE"} <= kept
