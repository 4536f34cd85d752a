"""A real beets with a library of its own: the `beet` program in processes, with a temporary BEETSDIR."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from mediafile import MediaFile

from tests import fork_server, media
from tests.program import Program

SURE = {"min_confidence": 0.05}  # the short clips do not test the model: write whatever it finds
FIELDS = ("title", "genres", "genrify_status", "genrify_confidence", "genrify_scores", "genrify_model", "genrify_run")


def need_beets() -> None:
    """Skip without beets on a user's machine; fail in CI."""
    try:
        importlib.metadata.version("beets")
    except importlib.metadata.PackageNotFoundError:
        if media.in_ci():
            pytest.fail("beets is missing in CI")
        pytest.skip("beets is not installed")


@dataclass
class Beets:
    """`beet` with configuration, library and music below one folder; Genrify Tagger keeps its database there, too."""

    home: Path
    plugins: list[str] = field(default_factory=lambda: ["genrify"])
    settings: dict = field(default_factory=lambda: dict(SURE))
    more: dict = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)  # a program that starts `beet`
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.program = Program(self.home)
        self.configure()

    @property
    def music(self) -> Path:
        return self.home / "library"

    def configure(self, **settings: object) -> None:
        """Write the configuration, with these settings of the plugin on top."""
        self.settings.update(settings)
        importing = {"copy": True, "write": True, "quiet": True, **self.more.get("import", {})}
        config = {
            "directory": str(self.music),
            "plugins": self.plugins,
            "ui": {"color": False},
            **self.more,
            "import": importing,
            "genrify": self.settings,
        }
        (self.home / "beets").mkdir(parents=True, exist_ok=True)
        (self.home / "beets" / "config.yaml").write_text(yaml.safe_dump(config))

    def environment(self, **more: str) -> dict[str, str]:
        return self.program.environment(BEETSDIR=str(self.home / "beets"), **more)

    def command(self, *arguments: str | Path) -> list[str]:
        script = Path(sys.executable).with_name("beet")
        start = [str(script)] if script.exists() else [sys.executable, "-m", "beets"]
        return [*self.prefix, *start, *map(str, arguments)]

    def __call__(
        self, *arguments: str | Path, status: int = 0, typed: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        done = fork_server.run(command, self.environment(**environment), typed=typed)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done

    def items(self, *query: str, fields: tuple[str, ...] = FIELDS) -> list[dict[str, str]]:
        """Return the library's items by title, as `beet ls -f` prints them; a field that an item lacks is ""."""
        template = "\x1f".join(f"%ifdef{{{name},${name}}}" if "genrify" in name else f"${name}" for name in fields)
        lines = self("ls", "-f", template, *query).stdout.splitlines()
        found = [dict(zip(fields, line.split("\x1f"), strict=True)) for line in lines]
        return sorted(found, key=lambda item: item[fields[0]])

    def genres(self, *query: str) -> dict[str, str]:
        """Return the items' genres by title."""
        return {item["title"]: item["genres"] for item in self.items(*query)}

    def album_genres(self) -> dict[str, str]:
        lines = self("ls", "-a", "-f", "$album\x1f$genres").stdout.splitlines()
        return dict(line.split("\x1f") for line in lines)

    def files(self) -> list[Path]:
        return sorted(path for path in self.music.rglob("*") if path.is_file())


LOCAL_MATCH = Path(__file__).with_name("beets_localmatch.py")


def with_matches(home: Path, **more: object) -> Beets:
    """Return a beets that finds a strong match for every album, so that it applies and writes."""
    plugins = home / "plugins"
    plugins.mkdir(parents=True)
    shutil.copy(LOCAL_MATCH, plugins / "localmatch.py")
    beets = Beets(home, **more)  # type: ignore[arg-type]
    beets.plugins = ["localmatch", *beets.plugins]
    beets.more = {**beets.more, "pluginpath": str(plugins)}
    beets.configure()
    return beets


def song(folder: Path, title: str, kind: str = "mp3-v2.3", *, source: Path = media.JAZZ, **tags: str) -> Path:
    """Make a song with a title, and with other tags, in a folder."""
    path = media.make(kind, folder, title, source=source)
    file = MediaFile(path)
    file.update({"title": title, "albumartist": "An artist", **tags})
    file.save()
    return path


def album(folder: Path, **tags: str) -> Path:
    """Make an album of four songs in four kinds of files, two of them jazz and two classical to the model."""
    song(folder, "Jazz 1", "mp3-v2.3", **tags)
    song(folder, "Jazz 2", "flac", **tags)
    song(folder, "Dance 1", "m4a-aac", source=media.CLASSICAL, **tags)
    song(folder, "Dance 2", "ogg-vorbis", source=media.CLASSICAL, **tags)
    return folder


EXPECTED = {"Dance 1": "Classical", "Dance 2": "Classical", "Jazz 1": "Jazz", "Jazz 2": "Jazz"}
NO_GENRES = dict.fromkeys(EXPECTED, "")


def in_files(beets: Beets) -> dict[str, str]:
    """Return the genres in the library's files by title, as mediafile reads them."""
    opened = [MediaFile(path) for path in beets.files()]
    return {file.title: "; ".join(file.genres or []) for file in opened}


def damaged(folder: Path, title: str) -> Path:
    """Make a file whose tags can be read but whose audio cannot."""
    path = song(folder, title, "flac")
    data = bytearray(path.read_bytes()[:9000] + bytes(3000))
    data[21] &= 0xF0  # STREAMINFO: the number of samples is unknown, so that it does not count as incomplete
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return path


KILLER = """
import os
from beets.plugins import BeetsPlugin

class KillerPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        if "KILL_AT" in os.environ:
            self.register_listener(os.environ["KILL_AT"], lambda **_: os.kill(os.getpid(), 9))
"""


def with_killer(beets: Beets, *, first: bool) -> None:
    """Add a plugin that kills beets at the event that KILL_AT names, before or after the genrify plugin handles it."""
    folder = beets.home / "killer"
    folder.mkdir()
    (folder / "killer.py").write_text(KILLER)
    beets.plugins = ["killer", "genrify"] if first else ["genrify", "killer"]
    beets.more = {**beets.more, "pluginpath": str(folder)}
    beets.configure()
