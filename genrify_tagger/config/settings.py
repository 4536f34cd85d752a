"""The settings: names, types, defaults, limits and explanations, each declared once.

Validation, `genrify-tag config show`, the template of `genrify-tag config init` and the settings page of the docs are
all generated from these declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from genrify_tagger.config.default_paths import default_database_url
from genrify_tagger.config.notify_settings import NotifySettings
from genrify_tagger.config.setting_field import setting_field as _setting


@dataclass(frozen=True)
class LibrarySettings:
    """Which files are scanned."""

    roots: tuple[str, ...] = _setting(
        "Folders of the library: watched, and scanned when no path is given.",
        (),
        form="path",
        example=("~/Music",),
    )
    include: tuple[str, ...] = _setting(
        "Scan only files that match one of these patterns or are in a folder that does. Empty: all.",
        (),
        form="glob",
        example=("*.flac", "Albums/"),
    )
    exclude: tuple[str, ...] = _setting(
        'Skip files and folders that match one of these patterns, regardless of case: "*" and "?" stop at "/", "**" '
        'does not; a final "/" matches folders only, a "/" elsewhere anchors the pattern at the root.',
        ("@eaDir/", "#recycle/", "$RECYCLE.BIN/", "System Volume Information/", "lost+found/"),
        form="glob",
    )
    max_minutes: float = _setting(
        "Skip files longer than this, such as audiobooks, mixes and podcasts. 0: no limit.",
        20.0,
        low=0,
    )


@dataclass(frozen=True)
class AnalysisSettings:
    """How songs are analysed."""

    segments: int = _setting("Number of 3-second segments to analyse per song, evenly spaced.", 8, low=1, high=64)
    jobs: int = _setting(
        "Number of worker processes. 0: one per available processor, within a container's CPU quota.",
        0,
        low=0,
        high=256,
    )
    vocabulary: str = _setting(
        "Vocabulary of the model to use: `tree` is a tree of genres with a dozen at its top, `gtzan` a list of ten.",
        "tree",
        pattern=r"[\w.-]+",
        former={"broad": "tree"},
    )
    existing: bool = _setting(
        "Also analyse files that have a genre, for `similar` and `export`; nothing is written to them.",
        True,
    )
    time_limit_seconds: float = _setting("Time limit per file; a file that takes longer fails.", 30.0, low=1)
    memory_limit_mb: int = _setting(
        "Memory limit per file, on top of what a worker needs at its start; a file that takes more fails.", 512, low=64
    )
    model: str = _setting(
        "Folder or JSON sidecar of another model, as `train` writes it. Empty: the shipped model.",
        "",
        form="path",
        example="~/models/mine",
    )


@dataclass(frozen=True)
class TaggingSettings:
    """What is written to which files."""

    existing: Literal["keep", "merge", "replace"] = _setting(
        "If a file has a genre: keep it, append the new one (merge), or replace it.",
        "keep",
    )
    treat_as_missing: tuple[str, ...] = _setting(
        "Genres that count as no genre, regardless of case.",
        ("", "Other", "Unknown", "Genre"),
    )
    min_confidence: float | None = _setting(
        "Write no genre below this confidence, a probability from 0 to 1; report the file as unsure instead. "
        "Not set: the threshold of the model.",
        None,
        low=0,
        high=1,
        example=0.6,
        shown="the model's threshold",
    )
    tree_level: Literal["leaf", "parent", "both"] = _setting(
        "With the vocabulary `tree`: write the most specific genre that is certain enough (leaf), its top genre "
        "(parent), or both.",
        "leaf",
    )
    precision: float = _setting(
        "With a vocabulary learned from the library: the share of written genres that should be right; `learn` sets "
        "the threshold for it. `min_confidence` overrules it.",
        0.95,
        low=0.5,
        high=0.999,
    )
    evidence: Literal["library", "sound"] = _setting(
        "What decides once a vocabulary was learned: all that is known of the library (library), or the sound alone "
        "and the shipped vocabulary (sound).",
        "library",
    )
    scope: Literal["song", "album"] = _setting(
        "Decide for each song by itself, or give all songs of an album one genre where the album as a whole is sure "
        "enough; compilations and soundtracks are decided song by song.",
        "song",
    )
    max_genres: int = _setting("Maximum number of genres per file.", 1, low=1, high=10)
    changed: Literal["respect", "ignore"] = _setting(
        "If another program removed or changed a genre that this one wrote: respect that and never write there again, "
        "or ignore it (after a restore from a backup, or if several machines tag the library).",
        "respect",
    )
    field: str = _setting(
        "Tag field to write.",
        "genre",
        pattern=r"[A-Za-z][A-Za-z0-9 _:-]*",
    )
    keep_mtime: bool = _setting(
        "Restore the modification time after a write. This hides the change from MPD, Navidrome, beets and rsync.",
        False,
    )
    hardlinks: Literal["refuse", "break", "in-place"] = _setting(
        "If a file has several hard links: refuse to write, break the link (only this name gets the genre), or write "
        "in place (slower; a full copy is kept until the result is verified).",
        "refuse",
    )
    ownership: Literal["require", "best-effort"] = _setting(
        "If owner and group of a file cannot be kept: refuse to write (require), or write anyway (best-effort).",
        "require",
    )
    incomplete: bool = _setting(
        "Also tag incomplete files (shorter than their own headers say), such as half of a download.", False
    )
    protected: tuple[str, ...] = _setting(
        "Never write to files with one of these genres, regardless of case and of all other settings.",
        (),
        example=("Audiobook", "Podcast"),
    )
    names: Mapping[str, str] = _setting(
        "Names to write instead of those of the model, as a table from label to name.",
        factory=dict,
        form="genre",
        example={"hiphop": "Hip-Hop"},
    )


@dataclass(frozen=True)
class GenreSettings:
    """How genres are named, in the library and where the program writes them."""

    aliases: Mapping[str, str] = _setting(
        "Words that stand for another genre, as a table from word to name; case, hyphens and & do not matter.",
        factory=dict,
        form="genre",
        example={"rap": "Hip-Hop"},
    )
    whitelist: str = _setting(
        "Text file with one genre per line, such as lastgenre's genres.txt; no others are written. Empty: no limit.",
        "",
        form="path",
        example="~/genres.txt",
    )
    tree: str = _setting(
        "YAML file of a genre tree, such as lastgenre's genres-tree.yaml. A genre that the whitelist lacks is replaced "
        "by the nearest wider one in the tree. Empty: the tree of the model.",
        "",
        form="path",
        example="~/genres-tree.yaml",
    )
    ignore: tuple[str, ...] = _setting(
        "Words in genre fields that are not genres.",
        (),
        example=("Favourites",),
    )


@dataclass(frozen=True)
class LearnSettings:
    """Learning from the library."""

    auto: bool = _setting(
        "Have the service learn the vocabulary in use anew when a tenth more songs have a genre, or another model "
        "has analysed the library. It never learns before you ran `learn`.",
        True,
    )
    name: str = _setting("Name of the vocabulary that `learn` saves.", "mine", pattern=r"[\w.-]+")


@dataclass(frozen=True)
class WatchSettings:
    """The background service."""

    settle_seconds: float = _setting(
        "Process a new or changed file once it has not changed for this long.", 10.0, low=0
    )
    rescan_hours: float = _setting(
        "Rescan the whole library this often, in case an event was missed. 0: never.", 24.0, low=0
    )
    polling: Literal["auto", "always", "never"] = _setting(
        "Poll for changes instead of using system events; auto: on network file systems.", "auto"
    )
    poll_seconds: float = _setting("Interval between polls.", 60.0, low=1)


@dataclass(frozen=True)
class ClusterSettings:
    """Analysis on other machines, for `scan --cluster`."""

    paths: Mapping[str, str] = _setting(
        "Folders here and where the workers have them, where that is another place.",
        factory=dict,
        form="path",
        example={"/srv/music": "/mnt/nas/music"},
    )
    wait_seconds: float = _setting(
        "How long to wait for a scheduler or workers that are away. Then the scan ends; the next one continues it.",
        60.0,
        low=0,
    )


@dataclass(frozen=True)
class DatabaseSettings:
    """Where analyses and journal are stored."""

    url: str = _setting(
        "An SQLAlchemy URL or the path of an SQLite file.",
        factory=default_database_url,
        form="database",
        example="~/library.db",
        shown="SQLite in the platform's data folder",
    )


@dataclass(frozen=True)
class WebSettings:
    """The local web page."""

    host: str = _setting("Address that the page is served on.", "127.0.0.1", pattern=r"[^\s/]+")
    port: int = _setting("Port that the page is served on. 0: any free port.", 8650, low=0, high=65535)
    token: str = _setting(
        "Secret that visitors must enter; required on any address but the loopback.",
        "",
        secret=True,
        example="a long random word",
    )
    names: tuple[str, ...] = _setting(
        "Additional host names of the page, for example that of a reverse proxy.",
        (),
        example=("music.home.arpa",),
    )
    base_path: str = _setting(
        "Path below which a reverse proxy serves the page.", "", pattern=r"(/[\w.~-]+)*/?", example="/genrify"
    )
    upload_mb: int = _setting("Maximum size of a song dropped on the page.", 200, low=1, high=100_000)
    uploads_mb: int = _setting(
        "Maximum total size of dropped songs and the files derived from them.", 2000, low=1, high=10_000_000
    )
    keep_minutes: float = _setting("Remove a dropped song that has not been opened for this long.", 60.0, low=0.05)


@dataclass(frozen=True)
class Settings:
    """All settings, by section."""

    library: LibrarySettings = field(default_factory=LibrarySettings)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    tagging: TaggingSettings = field(default_factory=TaggingSettings)
    genres: GenreSettings = field(default_factory=GenreSettings)
    learn: LearnSettings = field(default_factory=LearnSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    web: WebSettings = field(default_factory=WebSettings)


def shipped_choice(vocabulary: object) -> dict[str, object]:
    """Return the setting by which ``--vocabulary tree`` means that one, although a learned one may be in use."""
    return {"tagging.evidence": "sound"} if vocabulary == AnalysisSettings().vocabulary else {}
