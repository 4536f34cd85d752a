"""What happens to disks, played in a mount namespace: `unshare -m python -m tests.torture.disk PLAY FOLDER`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.program import Program
from tests.torture import songs
from tests.torture.songs import GENRE, Song
from tests.torture.state import check_journal, strays

SPECIMENS = ("mp3-v2.3:", "flac-tight", "m4a-aac:", "opus:", "wma:Oldies", "wav:", "v24-tight", "ape:")
IN_PLACE = {"GENRIFY_TAGGING__HARDLINKS": "in-place"}


def mounted(folder: Path, megabytes: int) -> Path:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", disk], check=True)
    return disk


def library(folder: Path, copies: int = 1) -> list[Song]:
    return [
        songs.place(specimen, folder / "music", name=f"{number}-{specimen.replace(':', '-')}", linked=index % 2 == 0)
        for index, specimen in enumerate(SPECIMENS)
        for number in range(copies)
    ]


def fill(disk: Path, *, leaving: int) -> Path:
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - leaving)
    return ballast


def told(output: str) -> dict[str, str]:
    """Return what was told of the files that failed."""
    results = [json.loads(line) for line in output.splitlines()]
    return {result["path"]: result["error"] for result in results if result["status"] == "failed"}


def settle(program: Program, found: list[Song], folder: Path) -> int:
    """Start again, see that all is well, and return how many songs have the new genre."""
    program("undo", "--dry-run", status=None)
    assert strays(folder) == []
    return check_journal(str(program.database), found)


def finish(program: Program, found: list[Song], folder: Path) -> None:
    """Once the trouble is over, everything works."""
    program("set", *(song.path for song in found), GENRE, **IN_PLACE)
    assert settle(program, found, folder) == len(found)


def full(folder: Path) -> None:
    """No room for new files; those for which there is room are written anyway."""
    disk = mounted(folder, 16)
    program, found = Program(folder), library(disk)
    ballast = fill(disk, leaving=300_000)
    done = program("set", *(song.path for song in found), GENRE, "--format", "jsonl", status=1, **IN_PLACE)
    failed = told(done.stdout)
    assert set(failed.values()) == {"there is no space left on the file system"}
    assert {str(song.path) for song in found if song.is_old()} == set(failed)
    assert strays(disk) == []
    assert 0 < settle(program, found, disk) == len(found) - len(failed)
    ballast.unlink()
    finish(program, found, disk)


def full_database(folder: Path) -> None:
    """No room for the database: reported at once, and nothing is written that cannot be journalled."""
    disk = mounted(folder, 8)
    program, found = Program(disk), library(folder, copies=3)
    ballast = fill(disk, leaving=200_000)
    done = program("set", *(song.path for song in found), GENRE, status=1, **IN_PLACE)
    assert "no space left for the database" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    ballast.unlink()
    assert settle(program, found, folder / "music") < len(found)
    finish(program, found, folder / "music")


def read_only(folder: Path) -> None:
    """The disk becomes read-only in the middle, as kernels do to a disk with errors."""
    disk = mounted(folder, 64)
    program, found = Program(folder), library(disk, copies=6)
    command = program.command("set", *(song.path for song in found), GENRE, "--format", "jsonl")
    with subprocess.Popen(
        command, env=program.environment(**IN_PLACE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        # Refused as long as a file on it is open for writing.
        while subprocess.run(["mount", "-o", "remount,ro", disk], stderr=subprocess.DEVNULL, check=False).returncode:
            time.sleep(0.001)
        out, err = process.communicate()
    failed = told(out)
    assert failed and set(failed.values()) <= {"the file system is read-only"}, failed
    assert process.returncode == 1 and "Traceback" not in err
    assert {str(song.path) for song in found if song.is_old()} == set(failed)
    assert strays(disk) == []
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    settle(program, found, disk)
    finish(program, found, disk)


def permissions(folder: Path) -> None:
    """Folder and files become read-only and writable again, over and over, for an unprivileged user."""
    program, found = Program(folder), library(folder, copies=4)
    capabilities = "--bounding-set=-dac_override,-dac_read_search,-fowner"
    command = program.command("set", *(song.path for song in found), GENRE, "--format", "jsonl")
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        process = subprocess.Popen(
            ["setpriv", capabilities, *command], env=program.environment(**IN_PLACE), stdout=out, stderr=err
        )
        closed = False
        while process.poll() is None:
            closed = not closed
            os.chmod(folder / "music", 0o555 if closed else 0o755)
            for song in found:
                os.chmod(song.path, 0o444 if closed else 0o644)
            time.sleep(0.02)
    os.chmod(folder / "music", 0o755)
    assert "Traceback" not in (folder / "err").read_text()
    failed = told((folder / "out").read_text())
    assert failed
    words = ("permission", "read-only", "changed by another program", "next start", "cannot be read", "not allow")
    assert all(any(word in error for word in words) for error in failed.values()), failed
    for song in found:
        os.chmod(song.path, 0o644)
    settle(program, found, folder / "music")
    finish(program, found, folder / "music")


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
