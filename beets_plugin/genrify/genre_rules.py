"""Map the model's labels to genre names: whitelist, canonical tree and title case, as in lastgenre."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from beets.ui import UserError  # type: ignore[attr-defined] # beets.exceptions came after 2.7

LASTGENRE = "beetsplug.lastgenre"


@dataclass(frozen=True)
class GenreRules:
    """Maps labels to the genre names that are written.

    Attributes
    ----------
    written : mapping of str to str
        The vocabulary's names, by label.
    chosen : mapping of str to str
        The user's own names, by label; these are never respelled.
    count : int
        How many genres there may be.
    whitelist : frozenset of str
        Allowed genres, in the form of `spelling`; empty: all.
    branches : tuple of tuple of str
        The canonical tree, each branch from the root to a leaf; empty: none.
    canonical : bool
        Whether a genre is to be replaced by its parents in the tree.
    prefer_specific : bool
        Whether the genre deepest in the tree goes first.
    keep_existing : bool
        Whether present genres stay, and count towards the limit.
    title_case : bool
        Whether names from the tree are written in title case, and the vocabulary's names as they are; else all lower.
    """

    written: Mapping[str, str]
    chosen: Mapping[str, str]
    count: int
    whitelist: frozenset[str] = frozenset()
    branches: tuple[tuple[str, ...], ...] = ()
    canonical: bool = False
    prefer_specific: bool = False
    keep_existing: bool = False
    title_case: bool = True

    def __call__(self, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the genres to write for labels (best first), without those that are present and stay."""
        names = [self.chosen.get(label) or self.written[label] for label in labels]
        if self.canonical:
            names = [parent for name in names for parent in self._upwards(name)]
        if self.prefer_specific:
            names.sort(key=self._depth, reverse=True)
        wanted = [self._cased(name) for name in names if self._is_wanted(name)]
        have = {spelling(genre) for genre in present} if self.keep_existing else set()
        new = [name for name in _unique(wanted) if spelling(name) not in have]
        return tuple(new[: max(0, self.count - len(have))])

    def _upwards(self, name: str) -> Sequence[str]:
        """Return a genre and its parents, nearest first: those on the whitelist, or without one the topmost."""
        path = self._paths.get(spelling(name))
        if path is None:
            return [name]
        nearest_first = [*reversed(path)]
        return [one for one in nearest_first if self._is_wanted(one)] if self.whitelist else nearest_first[-1:]

    def _depth(self, name: str) -> int:
        return len(self._paths.get(spelling(name), ()))

    def _is_wanted(self, name: str) -> bool:
        return not self.whitelist or spelling(name) in self.whitelist

    def _cased(self, name: str) -> str:
        if name in self.chosen.values():
            return name
        if not self.title_case:
            return name.lower()
        return name.title() if name.islower() else name

    @cached_property
    def _paths(self) -> Mapping[str, tuple[str, ...]]:
        """Each genre of the tree with its path from the root."""
        found: dict[str, tuple[str, ...]] = {}
        for branch in self.branches:
            for depth, name in enumerate(branch, start=1):
                found.setdefault(spelling(name), branch[:depth])
        return found


def spelling(name: str) -> str:
    """Return the form in which names are compared: "Hip-Hop", "hip hop" and "hiphop" are the same."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def load_whitelist(choice: object, lastgenre: object) -> frozenset[str]:
    """Read the whitelist.

    Parameters
    ----------
    choice : bool, str or None
        `genrify.whitelist`: a file with a genre a line, true for lastgenre's, false for none.
    lastgenre : object
        `lastgenre.whitelist`; used for true if it is a file.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    file = _chosen_file(choice, lastgenre, "genres.txt", "whitelist")
    if file is None:
        return frozenset()
    lines = (line.strip() for line in _text(file, "whitelist").splitlines())
    return frozenset(spelling(line) for line in lines if line and not line.startswith("#"))


def load_tree(choice: object, lastgenre: object) -> tuple[tuple[str, ...], ...]:
    """Read the canonical tree: a file of nested YAML lists, lastgenre's for true; see `load_whitelist`."""
    file = _chosen_file(choice, lastgenre, "genres-tree.yaml", "canonical")
    if file is None:
        return ()
    try:
        return tuple(_branches(yaml.safe_load(_text(file, "canonical")), ()))
    except yaml.YAMLError as error:
        raise UserError(f"genrify.canonical: {file} is not valid YAML") from error


def _branches(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _branches(below, (*path, str(name)))
    elif isinstance(node, list):
        for one in node:
            yield from _branches(one, path)
    else:
        yield (*path, str(node))


def _chosen_file(choice: object, lastgenre: object, shipped: str, key: str) -> Path | None:
    if choice is False or choice is None:
        return None
    if choice is not True and not isinstance(choice, str):
        raise UserError(f"genrify.{key} must be yes, no or the name of a file, not {choice}")
    for file in (choice, lastgenre):
        if isinstance(file, str) and file:
            return Path(file).expanduser()
    spec = importlib.util.find_spec(LASTGENRE)  # not imported: it needs pylast
    if spec is None or not spec.origin:
        raise UserError(f"genrify: this beets has no lastgenre plugin to take {shipped} from; name a file instead")
    return Path(spec.origin).with_name(shipped)


def _text(file: Path, key: str) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UserError(f"genrify.{key}: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"genrify.{key}: {file} is not UTF-8 text") from error


def _unique(names: Iterable[str]) -> list[str]:
    return list({spelling(name): name for name in reversed([*names])}.values())[::-1]
