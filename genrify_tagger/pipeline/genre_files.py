"""Read the whitelist and the genre tree that the settings name; without a tree there, the shipped one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.config import GenreSettings
from genrify_tagger.errors import ConfigError
from genrify_tagger.genre_rules import Tree, parse_tree, parse_whitelist

T = TypeVar("T")


@dataclass(frozen=True)
class GenreFiles:
    """The user's whitelist and tree; both empty if none are named."""

    whitelist: frozenset[str] = frozenset()
    tree: Tree = field(default_factory=dict)


def read_genre_files(settings: GenreSettings) -> GenreFiles:
    """Read the files that the settings name.

    Raises
    ------
    ConfigError
        If one cannot be read or is not what it should be.
    """
    return GenreFiles(
        whitelist=_read(settings.whitelist, "genres.whitelist", parse_whitelist) if settings.whitelist else frozenset(),
        tree=_read(settings.tree, "genres.tree", parse_tree) if settings.tree else {},
    )


def shipped_tree() -> Tree:
    """Return the genre tree of the shipped model."""
    files = next(v.tree for v in load_sidecar().vocabularies.values() if v.tree is not None)
    return _read(files.tree, "the model's tree", parse_tree)


def _read(path: str, what: str, parse: Callable[[str], T]) -> T:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return parse(file.read())
    except OSError as error:
        raise ConfigError(f"{what} cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} is not UTF-8 text", path=path) from error
    except ValueError as error:
        raise ConfigError(f"{what} {error}", path=path) from error
