"""A day of a music server in fast motion: what users, downloaders and other taggers do to files.

`World` does random things to songs in several roots and knows what must hold for each in the end. Songs are MP3s cut
out of others frame by frame, so that there are many, and their audio can be compared byte for byte.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mutagen.easyid3 import EasyID3
from mutagen.id3 import ID3NoHeaderError

from tests import media

HUMAN = "Human Choice"
FRAMES = 60


@functools.cache
def frames() -> list[bytes]:
    """Return the MPEG frames of a song."""
    content = media.master("mp3-bare", media.JAZZ).read_bytes()
    at, found = content.index(b"\xff\xfb"), []
    while at + 4 <= len(content) and content[at : at + 2] == b"\xff\xfb":
        size = 144 * 128_000 // 44_100 + bool(content[at + 2] & 2)
        found.append(content[at : at + size])
        at += size
    assert len(found) > 500
    return found


def voice(number: int) -> bytes:
    """Return one of some thirty thousand different songs, a second or two long."""
    start, more = divmod(number, 60)
    return b"".join(frames()[start : start + FRAMES + more])


def audio(content: bytes) -> bytes:
    """Return an MP3's bytes without its tags."""
    if content[:3] == b"ID3":
        size = functools.reduce(lambda whole, byte: whole << 7 | byte, content[6:10], 0)
        content = content[10 + size :]
    return content[:-128] if content[-128:-125] == b"TAG" else content


def tags_of(path: Path) -> EasyID3:
    """Open a song's tag as taggers do; an empty one if there is none."""
    try:
        return EasyID3(path)
    except ID3NoHeaderError:
        return EasyID3()


@dataclass
class Known:
    """What must hold for one file: its audio, and the genre that the user gave it last, if any.

    In a copy no genre counts as written by the program, even if one is in it.
    """

    voice: int
    human: list[str] | None = None
    is_copy: bool = False


@dataclass
class World:
    """Files in a storm.

    Parameters
    ----------
    roots : list of Path
        Folders that are always there.
    dice : random.Random
        The random numbers.
    mount : Path or None
        One more root: a mount point, which may be taken away.
    voices : int
        How many different songs there are.
    """

    roots: list[Path]
    dice: random.Random
    mount: Path | None = None
    voices: int = 20_000
    songs: dict[Path, Known] = field(default_factory=dict)
    partial: dict[Path, tuple[int, BinaryIO | None]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _mounted: bool = True

    def step(self) -> None:
        """Do one thing."""
        weights = {
            self.create: 26,
            self.begin_download: 8,
            self.end_download: 10,
            self.rename: 12,
            self.move_across: 8,
            self.move_folder: 3,
            self.delete: 8,
            self.delete_folder: 1,
            self.edit_title: 10,
            self.edit_genre: 6,
            self.remove_genre: 3,
            self.copy: 4,
            self.replace: 4,
            self.noise: 4,
        }
        (action,) = self.dice.choices(list(weights), list(weights.values()))
        action()
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1

    # --- what happens ---

    def create(self) -> None:
        path, number = self._new_path(), self.dice.randrange(self.voices)
        path.write_bytes(voice(number))
        self.songs[path] = Known(number)

    def begin_download(self) -> None:
        """Write a part of a song: under a downloader's name, or under its own by a program that keeps it open."""
        path, number = self._new_path(), self.dice.randrange(self.voices)
        content = voice(number)
        begun = content[: len(content) // 3]
        if self.dice.random() < 0.5:
            path = path.with_name(path.name + ".part")
            path.write_bytes(begun)
            self.partial[path] = number, None
        else:
            file = path.open("wb", buffering=0)
            file.write(begun)
            self.partial[path] = number, file

    def end_download(self) -> None:
        if self.partial:
            self._end_download(self.dice.choice(list(self.partial)))

    def _end_download(self, path: Path) -> None:
        number, file = self.partial.pop(path)
        content = voice(number)
        if file is not None:
            file.write(content[len(content) // 3 :])
            file.close()
        else:
            with path.open("ab") as appended:
                appended.write(content[len(content) // 3 :])
            path = path.rename(path.with_suffix(""))
        self.songs[path] = Known(number)

    def rename(self) -> None:
        if path := self._any():
            self._move(path, path.with_name(f"renamed-{self._next()}.mp3"))

    def move_across(self) -> None:
        if path := self._any():
            self._move(path, self._new_path())

    def move_folder(self) -> None:
        if not (path := self._any()) or path.parent in self._present_roots():
            return
        for begun in [begun for begun in self.partial if begun.is_relative_to(path.parent)]:
            self._end_download(begun)
        target = self.dice.choice(self._present_roots()) / f"moved-{self._next()}"
        shutil.move(path.parent, target)  # from one file system to another it is a copy
        for old in [old for old in self.songs if old.is_relative_to(path.parent)]:
            self.songs[target / old.relative_to(path.parent)] = self.songs.pop(old)

    def delete(self) -> None:
        if path := self._any():
            path.unlink()
            del self.songs[path]

    def delete_folder(self) -> None:
        if not (path := self._any()) or path.parent in self._present_roots():
            return
        for begun in [begun for begun in self.partial if begun.is_relative_to(path.parent)]:
            self._end_download(begun)
        shutil.rmtree(path.parent)
        for old in [old for old in self.songs if old.is_relative_to(path.parent)]:
            del self.songs[old]

    def edit_title(self) -> None:
        if path := self._any():
            tags = tags_of(path)
            tags["title"] = f"Title {self._next()}"
            tags.save(path)
            # What another tagger saves is all that it had read: it may remove a new genre of the program again.

    def edit_genre(self) -> None:
        self._set_genre([f"{HUMAN} {self._next()}"])

    def remove_genre(self) -> None:
        if (path := self._any()) and "genre" in tags_of(path):
            was_theirs = self.songs[path].human or self.songs[path].is_copy
            self._set_genre([], path)
            # If the user removes a genre that the user set, the file simply has no genre.
            self.songs[path].human = None if was_theirs else []

    def _set_genre(self, genres: list[str], path: Path | None = None) -> None:
        if path := path or self._any():
            tags = tags_of(path)
            tags["genre"] = genres
            if not genres:
                del tags["genre"]
            tags.save(path)
            self.songs[path].human = genres

    def copy(self) -> None:
        if path := self._any():
            target = self._new_path()
            shutil.copy(path, target)
            known = self.songs[path]
            self.songs[target] = Known(known.voice, known.human or None, is_copy=True)

    def replace(self) -> None:
        """Save a song as careful programs do: a new file that takes the old one's name."""
        if path := self._any():
            beside = path.with_name(f".{path.name}.tmp")
            number = self.dice.randrange(self.voices)
            beside.write_bytes(voice(number))
            beside.replace(path)
            self.songs[path] = Known(number)

    def noise(self) -> None:
        folder = self._new_path().parent
        (folder / f"cover-{self._next()}.jpg").write_bytes(b"no picture")
        os.close(os.open(folder / f".hidden-{self._number}.mp3", os.O_CREAT | os.O_WRONLY))

    # --- mounts ---

    def take_mount_away(self) -> None:
        if self.mount is not None and self._mounted:
            for begun in [begun for begun in self.partial if begun.is_relative_to(self.mount)]:
                self._end_download(begun)
            subprocess.run(["umount", "--lazy", self.mount], check=True)
            self._mounted = False

    def bring_mount_back(self, source: Path) -> None:
        if self.mount is not None and not self._mounted:
            subprocess.run(["mount", "--bind", source, self.mount], check=True)
            self._mounted = True

    # --- the end ---

    def finish(self) -> None:
        """Let every download end."""
        for path in list(self.partial):
            self._end_download(path)

    def check(self, files: dict[str, tuple[str, bool]], written: dict[str, list[list[str]]]) -> None:
        """Check every file against what must hold.

        Parameters
        ----------
        files : dict
            Status and whether it is there, by path, as the database has it.
        written : dict
            Genres that the journal says were written, by path, oldest first.
        """
        ours = {tuple(genres) for all_of_path in written.values() for genres in all_of_path}
        for path, known in self.songs.items():
            content = path.read_bytes()
            assert audio(content) == audio(voice(known.voice)), f"{path} is damaged"
            status, there = files[str(path)]
            assert there, f"{path} is there, and counts as missing"
            genres = tuple(tags_of(path).get("genre", []))
            if known.human:
                assert genres == tuple(known.human), f"{path}: a human's genre was overwritten by {genres}"
                assert status == "kept"
            elif genres:
                assert genres in ours and status in {"tagged", "kept"}, (path, genres, status)
            else:  # removed by another program after the write, or by a tagger that had read it before
                assert status == "skipped", f"{path} has no genre and is {status}"
            if known.human == []:
                assert not genres, f"{path}: a genre that was removed was written again"
        there = {path for path, (_, is_there) in files.items() if is_there}
        assert there == set(map(str, self.songs))
        strays = [path for root in self._present_roots() for path in root.rglob(".genrify-*")]
        assert not strays

    def _present_roots(self) -> list[Path]:
        return [*self.roots, *([self.mount] if self.mount is not None and self._mounted else [])]

    def _new_path(self) -> Path:
        root = self.dice.choice(self._present_roots())
        folder = root if self.dice.random() < 0.1 else root / f"album-{self.dice.randrange(30)}"
        folder.mkdir(exist_ok=True)
        return folder / f"song-{self._next()}.mp3"

    def _any(self) -> Path | None:
        there = [p for p in self.songs if self._mounted or self.mount is None or not p.is_relative_to(self.mount)]
        return self.dice.choice(there) if there else None

    def _move(self, path: Path, target: Path) -> None:
        shutil.move(path, target)
        self.songs[target] = self.songs.pop(path)

    def _next(self) -> int:
        self._number += 1
        return self._number
