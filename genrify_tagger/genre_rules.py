"""Which names may be written: whitelist, genre tree and title case, as in lastgenre of beets, whose files are read.

The tree is a file of nested YAML lists, each genre below the wider one; the whitelist has one genre per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genrify_tagger.genre_spelling import Path, spelling

Tree = Mapping[str, Path]  # names from the root to each genre, by `spelling`; of one that occurs twice, the first


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
    tree : mapping of str to tuple of str
        The canonical tree; empty: none.
    canonical : bool
        Whether a genre is to be replaced by its parents in the tree.
    prefer_specific : bool
        Whether the genre deepest in the tree goes first.
    keep_existing : bool
        Whether present genres stay, and count towards the limit.
    title_case : bool
        Whether names from the tree are in title case, and the vocabulary's names unchanged; otherwise all are in lower
        case.
    """

    written: Mapping[str, str]
    chosen: Mapping[str, str]
    count: int
    whitelist: frozenset[str] = frozenset()
    tree: Tree = field(default_factory=dict)
    canonical: bool = False
    prefer_specific: bool = False
    keep_existing: bool = False
    title_case: bool = True

    def __call__(self, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the genres to write for labels (best first), without those that are present and stay."""
        names = [self.chosen.get(label) or self.written.get(label, label) for label in labels]
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
        path = self.tree.get(spelling(name))
        if path is None:
            return [name]
        nearest_first = [*reversed(path)]
        return [one for one in nearest_first if self._is_wanted(one)] if self.whitelist else nearest_first[-1:]

    def _depth(self, name: str) -> int:
        return len(self.tree.get(spelling(name), ()))

    def _is_wanted(self, name: str) -> bool:
        return not self.whitelist or spelling(name) in self.whitelist

    def _cased(self, name: str) -> str:
        if name in self.chosen.values():
            return name
        if not self.title_case:
            return name.lower()
        return name.title() if name.islower() else name


def parse_whitelist(text: str) -> frozenset[str]:
    """Return the genres of a whitelist in the form of `spelling`; lines that begin with "#" are comments."""
    lines = (line.strip() for line in text.splitlines())
    return frozenset(spelling(line) for line in lines if line and not line.startswith("#"))


def parse_tree(text: str) -> Tree:
    """Return the path from the root to each genre of a tree.

    Raises
    ------
    ValueError
        If it is not valid YAML, or no list.
    """
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("is not valid YAML") from error
    if content is not None and not isinstance(content, list | dict):
        raise ValueError("is not a list of genres in YAML")
    found: dict[str, Path] = {}
    for path in _paths(content, ()):
        found.setdefault(spelling(path[-1]), path)
    return found


def _paths(node: Any, above: Path) -> Iterator[Path]:
    """Yield the path to each genre, parents before children."""
    if isinstance(node, Mapping):
        for name, below in node.items():
            yield (*above, str(name))
            yield from _paths(below, (*above, str(name)))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for one in node:
            yield from _paths(one, above)
    elif node is not None:
        yield (*above, str(node))


def _unique(names: Iterable[str]) -> list[str]:
    return list({spelling(name): name for name in reversed([*names])}.values())[::-1]
