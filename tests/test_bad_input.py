"""Bad files in a folder: one line for each, exit status 1, no traceback, and the others are tagged."""

import base64
import json
import os
import random
import shutil
import socket
import subprocess

import pytest

from tests import media
from tests.media import need

SURE = ("--min-confidence", "0.05")
ROOT = os.geteuid() == 0


def good_ones(folder):
    return [media.make(kind, folder, name) for kind, name in (("mp3-v2.3", "a first"), ("opus", "z last"))]


def empty(folder):
    (folder / "zero.mp3").touch()
    return {"zero.mp3": "failed"}


def text(folder):
    (folder / "text.flac").write_text("These are words, not music.\n" * 500)
    return {"text.flac": "skipped"}


def noise(folder):
    names = {}
    for suffix in ("mp3", "flac", "m4a", "ogg", "opus", "wav", "aiff", "wma", "ape", "wv", "mpc"):
        (folder / f"noise.{suffix}").write_bytes(random.Random(suffix).randbytes(30_000))
        names[f"noise.{suffix}"] = "failed"
    return names


def picture(folder):
    media.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", folder / "picture.png")
    (folder / "picture.png").rename(folder / "picture.mp3")
    return {"picture.mp3": "skipped"}


def truncated(folder):
    """Cut off in the header or behind it; a file that states a length is skipped."""
    names = {}
    for kind in media.KINDS:
        content = media.master(kind).read_bytes()
        for share in (0.0003, 0.5):
            name = f"{kind}-{share}{media.master(kind).suffix}"
            (folder / name).write_bytes(content[: max(8, int(len(content) * share))])
            names[name] = None
    return names


def not_taggable(folder):
    media.ffmpeg("-t", "5", "-i", media.JAZZ, "-c:a", "libmp3lame", folder / "film.mka")
    return {"film.mka": "skipped"}


def dangling(folder):
    (folder / "gone.flac").symlink_to("nowhere.flac")
    return {"gone.flac": "failed"}


def looping(folder):
    (folder / "one.flac").symlink_to("two.flac")
    (folder / "two.flac").symlink_to("one.flac")
    (folder / "inside").mkdir()
    (folder / "inside" / "up").symlink_to("..")
    return {"one.flac": "failed", "two.flac": "failed"}


def pipe(folder):
    os.mkfifo(folder / "pipe.mp3")
    return {"pipe.mp3": "failed"}


def listening_socket(folder):
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(folder)  # a socket's path must be short
        server.bind("socket.mp3")
        os.chdir(before)
    return {"socket.mp3": "failed"}


def device(folder):
    if not ROOT:
        pytest.skip("needs root to make a device")
    os.mknod(folder / "zero.mp3", 0o600 | 0o020000, os.makedev(1, 5))
    return {"zero.mp3": "failed"}


def linked_device(folder):
    (folder / "null.flac").symlink_to("/dev/zero")
    return {"null.flac": "failed"}


def protected(folder):
    media.make("flac", folder, "locked").chmod(0o444)
    return {"locked.flac": "failed"}


BAD = [empty, text, noise, picture, truncated, not_taggable, dangling, looping, pipe, listening_socket, device]
BAD += [linked_device, protected]


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def plain(words):
    return words and words.isprintable() and "Error" not in words and "Errno" not in words and len(words) < 200


def test_all_bad_files_at_once(program, tmp_path):
    folder = tmp_path / "music"
    good = good_ones(folder)
    expected = {}
    for number, make in enumerate(BAD):
        (folder / f"m{number}").mkdir()
        names = make(folder / f"m{number}")
        expected |= {str(folder / f"m{number}" / name): status for name, status in names.items()}
    before = bytes_of(folder)
    results = {result["path"]: result for result in program.scan(folder, *SURE, status=1)}
    assert set(results) == {*expected, *map(str, good)}
    for path in good:
        assert results[str(path)]["status"] == "tagged"
    for path, status in expected.items():
        result = results[path]
        assert (
            result["status"] == status
            or (status is None and result["status"] in ("skipped", "failed"))
            or "mp3-bare-0.5" in path
        ), result
        assert result["status"] == "tagged" or plain(result["error"] or result["reason"]), result
    assert not list(folder.rglob(".*"))
    for path, content in bytes_of(folder).items():
        changed = results[str(path)]["status"] == "tagged"
        assert (content != before[path]) == changed, path
    program("undo")
    assert bytes_of(folder) == before


@pytest.mark.parametrize("make", [empty, text, dangling, pipe, protected, not_taggable], ids=lambda make: make.__name__)
def test_a_bad_file_as_argument_is_one_line(program, tmp_path, make):
    ((name, status),) = make(tmp_path).items()
    done = program("scan", tmp_path / name, *SURE, status=int(status == "failed"))
    lines = [line for line in done.stdout.splitlines() if name in line]
    assert name not in done.stderr
    assert len(lines) == 1
    if make is not not_taggable:
        done = program("set", tmp_path / name, "Jazz", status=1)
        assert len([line for line in done.stdout.splitlines() if name in line]) == 1


def test_missing_paths(program, tmp_path):
    done = program("scan", tmp_path / "nowhere", status=2)
    assert done.stdout == ""
    assert f"{tmp_path}/nowhere: no such file or folder; nothing was scanned" in done.stderr


def test_files_with_the_wrong_suffix_are_recognised_by_content(program, tmp_path):
    song = media.make("flac", tmp_path / "music").rename(tmp_path / "music" / "song.mp3")
    assert program.scan(song, *SURE)[0]["status"] == "tagged"
    shown = media.run(need("metaflac"), "--show-tag=GENRE", song).stdout
    assert shown.startswith(b"GENRE=")
    program("undo")
    assert song.read_bytes() == media.master("flac").read_bytes()


ODD_NAMES = [
    b"caf\xe9.flac",
    b"new\nline.flac",
    b"red \x1b[31m bell \x07 \r.flac",
    "\u202etxt.flac".encode(),
    b"--force.flac",
    b"-.flac",
    b" .flac",
    b"[red]bold[red] {} %s $(x) `x` & ;.flac",
    b"'\".flac",
    b"x" * 250 + b".flac",
]


def test_odd_names(program, tmp_path):
    folder = os.fsencode(tmp_path) + b"/mus\xefc"
    os.mkdir(folder)
    for name in ODD_NAMES:
        shutil.copy(media.master("flac"), os.path.join(folder, name))
    before = program.scan(folder, *SURE, "--dry-run")
    assert [result["status"] for result in before] == ["tagged"] * len(ODD_NAMES)
    lines = program("scan", folder, *SURE).stdout.splitlines()
    assert len(lines) == len(ODD_NAMES) and all(line.isprintable() for line in lines)
    found = {base64.b64decode(result["path_bytes"]) for result in program.scan(folder, *SURE)}
    assert found == {os.path.join(folder, name) for name in ODD_NAMES}
    for command in (["status"], ["history"], ["undo"]):
        assert "\x1b" not in program(*command).stdout
    for name in ODD_NAMES:
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == media.master("flac").read_bytes()


def test_a_path_that_is_too_long_for_the_system(program, tmp_path):
    good = good_ones(tmp_path / "music")
    inside = os.open(tmp_path / "music", os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=inside)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = deeper
    os.close(inside)
    results = program.scan(tmp_path / "music", *SURE, status=1)
    assert [result["error"] for result in results if result["status"] == "failed"] == ["File name too long"]
    assert {result["path"] for result in results if result["status"] == "tagged"} == set(map(str, good))


def without_roots_powers(program, *arguments, **options):
    """Run the program with root's right to pass over permissions taken away."""
    drop = [need("setpriv"), "--bounding-set=-dac_override,-dac_read_search,-fowner"] if ROOT else []
    done = subprocess.run(
        [*drop, *program.command(*arguments)], capture_output=True, text=True, env=program.environment(), check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_missing_permissions(program, tmp_path):
    folder = tmp_path / "music"
    good = good_ones(folder)
    secret, closed, sealed = (media.make("flac", folder / name) for name in ("secret", "closed", "sealed"))
    secret.chmod(0)
    before = closed.read_bytes()
    closed.parent.chmod(0)
    sealed.parent.chmod(0o555)
    status, results = without_roots_powers(program, "scan", folder, *SURE, "--format", "jsonl")
    closed.parent.chmod(0o755)
    sealed.parent.chmod(0o755)
    told = {result["path"]: result for result in results}
    assert status == 1
    assert {path for path, result in told.items() if result["status"] == "tagged"} == set(map(str, good))
    assert "ermission" in told[str(secret)]["error"]
    assert told[str(closed.parent)]["error"] == "Permission denied"
    assert told[str(sealed)]["error"] == "there is no permission to write in the file's folder"
    assert closed.read_bytes() == sealed.read_bytes() == before


def test_a_read_only_file_system(program, tmp_path):
    if not ROOT:
        pytest.skip("needs root, to mount")
    song = media.make("flac", tmp_path / "music")
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && shift 0 && exec "$@"'
    command = [need("unshare"), "-m", "sh", "-c", script, song.parent]
    done = subprocess.run(
        [*command, *program.command("scan", song.parent, *SURE, "--format", "jsonl")],
        capture_output=True,
        text=True,
        env=program.environment(),
        check=False,
    )
    result = json.loads(done.stdout)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (result["status"], result["error"]) == ("failed", "the file system is read-only")
    assert song.read_bytes() == media.master("flac").read_bytes()


def test_files_that_vanish_while_they_wait_for_their_turn(program, tmp_path):
    folder = tmp_path / "music"
    for number in range(60):
        media.make("mp3-v2.3", folder, f"{number:02}")
    process = subprocess.Popen(
        program.command("scan", folder, *SURE, "--segments", "1", "--format", "jsonl"),
        env=program.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    for number in range(20, 60, 2):
        (folder / f"{number}.mp3").unlink(missing_ok=True)
    out, err = process.communicate(timeout=100)
    results = [json.loads(line) for line in (first + out).splitlines()]
    assert process.returncode == 1 and "Traceback" not in err
    failed = [result for result in results if result["status"] == "failed"]
    assert {result["error"] for result in failed} == {"was moved or deleted meanwhile"}
    for result in results:
        assert result["status"] == "failed" if result in failed else result["status"] == "tagged"
    assert not list(folder.glob(".*"))
    assert len(list(folder.iterdir())) == 40
