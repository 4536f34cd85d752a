"""The settings: names, types, defaults, limits and explanations, each declared once.

Validation, `genrify-tag config show`, the template of `genrify-tag config init` and README's table are all made from
the declarations here.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genrify_tagger.config.default_paths import default_database_url


def _setting(doc: str, default: Any = dataclasses.MISSING, **more: Any) -> Any:
    """Declare a setting; see `Setting` for what else may be given."""
    factory = more.pop("factory", None)
    metadata = {"doc": doc, **more}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class LibrarySettings:
    """Which files are looked at."""

    roots: tuple[str, ...] = _setting(
        "Folders that make up the library: watched, and scanned when no path is named.",
        (),
        form="path",
        example=("~/Music",),
    )
    include: tuple[str, ...] = _setting(
        "Look only at files that match one of these patterns, or lie in a folder that does. Empty: all.",
        (),
        form="glob",
        example=("*.flac", "Albums/"),
    )
    exclude: tuple[str, ...] = _setting(
        'Leave out files and folders that match one of these patterns: "*" and "?" stop at "/", "**" does not, '
        'a final "/" means folders only, a "/" elsewhere ties the pattern to the root; case does not matter.',
        ("@eaDir/", "#recycle/", "$RECYCLE.BIN/", "System Volume Information/", "lost+found/"),
        form="glob",
    )
    max_minutes: float = _setting(
        "Skip longer files: audiobooks, mixes, podcasts. 0: no limit.",
        20.0,
        low=0,
    )


@dataclass(frozen=True)
class AnalysisSettings:
    """How songs are listened to."""

    segments: int = _setting("How many 3-second segments of a song are heard, evenly spaced.", 8, low=1, high=64)
    jobs: int = _setting(
        "How many worker processes listen side by side. 0: one for each processor.", 0, low=0, high=256
    )
    vocabulary: str = _setting("Which of the model's lists of genres to use.", "gtzan", pattern=r"[\w.-]+")
    existing: bool = _setting(
        "Also listen to files that have a genre: nothing is written, but learning and similarity use it.",
        True,
    )
    time_limit_seconds: float = _setting("A file that keeps a worker busy for longer has failed.", 30.0, low=1)
    memory_limit_mb: int = _setting(
        "A file that makes a worker need more than this beyond its own start-up size has failed.", 512, low=64
    )
    model: str = _setting(
        "Another model: the path of its JSON sidecar. Empty: the one that comes with the program.",
        "",
        form="path",
        example="~/models/mine.json",
    )


@dataclass(frozen=True)
class TaggingSettings:
    """What is written, and into which files."""

    existing: Literal["keep", "merge", "replace"] = _setting(
        "A file that has a genre: keep it, merge ours behind it, or replace it.",
        "keep",
    )
    treat_as_missing: tuple[str, ...] = _setting(
        "Genres that count as none. Case does not matter.",
        ("", "Other", "Unknown", "Genre"),
    )
    min_confidence: float | None = _setting(
        "Write nothing below this confidence, a probability from 0 to 1; such files are reported as unsure. "
        "Not set: the model's own threshold.",
        None,
        low=0,
        high=1,
        example=0.6,
        shown="the model's own",
    )
    max_genres: int = _setting("How many genres a file gets at most.", 1, low=1, high=10)
    field: str = _setting(
        "The tag field that holds the genre.",
        "genre",
        pattern=r"[A-Za-z][A-Za-z0-9 _:-]*",
    )
    keep_mtime: bool = _setting(
        "Restore a file's modification time after writing. This hides the change from MPD, Navidrome, beets and rsync.",
        False,
    )
    hardlinks: Literal["refuse", "break", "in-place"] = _setting(
        "A file with several hard links: refuse to write, break the link (only this name gets the genre), or write "
        "in place (slower, a full copy is kept until the result is verified).",
        "refuse",
    )
    ownership: Literal["require", "best-effort"] = _setting(
        "When a file's owner and group cannot be kept: require refuses to write, best-effort writes all the same.",
        "require",
    )
    protected: tuple[str, ...] = _setting(
        "Files with one of these genres are left alone whatever else is asked. Case does not matter.",
        (),
        example=("Audiobook", "Podcast"),
    )
    names: Mapping[str, str] = _setting(
        "What to write for a label of the model, as a table. Labels not listed keep the model's own names.",
        factory=dict,
        form="genre",
        example={"hiphop": "Hip-Hop"},
    )


@dataclass(frozen=True)
class WatchSettings:
    """How the background service behaves."""

    settle_seconds: float = _setting(
        "Touch a new or changed file only after it has been left alone this long.", 10.0, low=0
    )
    rescan_hours: float = _setting(
        "Look through the whole library this often, in case an event was missed. 0: never.", 24.0, low=0
    )
    polling: Literal["auto", "always", "never"] = _setting(
        "Find changes by looking instead of being told: auto does so on network file systems.", "auto"
    )
    poll_seconds: float = _setting("How often to look where changes are found by looking.", 60.0, low=1)
    after_batch: str = _setting(
        "A command to run, or an http(s) address to call, once files have been tagged. Empty: none.",
        "",
        example="mpc update",
    )


@dataclass(frozen=True)
class DatabaseSettings:
    """Where analyses and the journal are kept."""

    url: str = _setting(
        "An SQLAlchemy URL, or simply the path of an SQLite file.",
        factory=default_database_url,
        form="database",
        example="~/genrify.db",
        shown="SQLite in the platform's data folder",
    )


@dataclass(frozen=True)
class WebSettings:
    """The local web page."""

    host: str = _setting("The address the page is served on.", "127.0.0.1", pattern=r"[^\s/]+")
    port: int = _setting("The port the page is served on. 0: any free one.", 8650, low=0, high=65535)
    token: str = _setting(
        "The secret that visitors must show; needed on any address but the loopback.",
        "",
        secret=True,
        example="a long random word",
    )
    names: tuple[str, ...] = _setting(
        "Further host names under which the page may be asked for, behind a proxy for example.",
        (),
        example=("music.home.arpa",),
    )
    upload_mb: int = _setting("The largest song that may be dropped on the page.", 200, low=1, high=100_000)
    uploads_mb: int = _setting(
        "How much all dropped songs and what is made of them may take up together.", 2000, low=1, high=10_000_000
    )
    keep_minutes: float = _setting(
        "Dropped songs are removed after so long without anyone looking at them.", 60.0, low=0.05
    )


@dataclass(frozen=True)
class Settings:
    """All settings, by section."""

    library: LibrarySettings = field(default_factory=LibrarySettings)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    tagging: TaggingSettings = field(default_factory=TaggingSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    web: WebSettings = field(default_factory=WebSettings)


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    Attributes
    ----------
    section, key : str
        Where it stands in the settings file.
    hint : type
        The type of its value, as annotated.
    doc : str
        What it is for.
    form : str
        What its text stands for, where that needs more than a look at its type: "path" (``~`` is expanded, relative
        ones are made absolute), "glob", "genre" (a name to be written), "database", or "".
    low, high : float or None
        Limits of a number, both allowed.
    pattern : str
        Regular expression that a text has to match as a whole, or "".
    secret : bool
        Whether it is never shown.
    example : object
        A value for the template where the default would explain nothing.
    shown : str
        What to show as default where that is no constant.
    """

    section: str
    key: str
    hint: Any
    doc: str
    form: str = ""
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    secret: bool = False
    example: Any = None
    shown: str = ""

    @property
    def name(self) -> str:
        """Section and key, as in ``tagging.existing``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"GENRIFY_{self.section}__{self.key}".upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, or () if it is not a choice."""
        return typing.get_args(self.hint) if typing.get_origin(self.hint) is Literal else ()


@functools.cache
def sections() -> Mapping[str, type[Any]]:
    """Return the class of each section by its name."""
    return typing.get_type_hints(Settings)


@functools.cache
def declared() -> Mapping[str, Setting]:
    """Return every setting's declaration by its name, in the order of the settings file."""
    found = {}
    for section, kind in sections().items():
        hints = typing.get_type_hints(kind)
        for item in dataclasses.fields(kind):
            setting = Setting(section=section, key=item.name, hint=hints[item.name], **item.metadata)
            found[setting.name] = setting
    return found
