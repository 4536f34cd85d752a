"""Which genre words mean the same: case, hyphens, "&" and "and", separators, aliases; pure functions on text.

Files say "Hip Hop", "hip-hop" and "Rap/Hip-Hop"; one of the words found stands for all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

Path = tuple[str, ...]

#: Words that mean the same although they are spelled differently, and the name that stands for them.
COMMON_ALIASES = {
    "Rap": "Hip-Hop",
    "Rap/Hip-Hop": "Hip-Hop",
    "Hip-Hop/Rap": "Hip-Hop",
    "Hip-Hop & Rap": "Hip-Hop",
    "RnB": "R&B",
    "R&B/Soul": "R&B",
    "Rhythm and Blues": "R&B",
    "DnB": "Drum and Bass",
    "D&B": "Drum and Bass",
    "RockNRoll": "Rock and Roll",
    "AlternRock": "Alternative Rock",
    "OST": "Soundtrack",
    "Original Soundtrack": "Soundtrack",
    "Classical Music": "Classical",
    "Country Music": "Country",
    "Electronic Music": "Electronic",
    "Pop Music": "Pop",
    "Rock Music": "Rock",
}

_AND = re.compile(r"\s*(?:[&+]|\b(?:and|und|et)\b)\s*|\s*['’`´]\s*n\b\s*['’`´]?\s*|(?<=\w)\s+n\s+(?=\w)")
_HYPHENS = re.compile(r"[\s_.‐-―-]+")
_SEPARATORS = re.compile(r"\s*[;|,/\\\x00]\s*")


def spelling(name: str) -> str:
    """Return the form in which names are compared: "Hip-Hop", "hip hop" and "hiphop" are the same.

    So are "Drum & Bass", "Drum and Bass" and "Drum'n'Bass".
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _AND.sub("&", _HYPHENS.sub(" ", folded).strip()).replace(" ", "")


@dataclass(frozen=True)
class GenreSpelling:
    """Rules that say which words mean the same genre.

    Attributes
    ----------
    aliases : mapping of str to str
        Names by the words they stand for, in the form of `spelling`.
    known : mapping of str to str
        Names that win over other words for the same, by `spelling`.
    ignored : frozenset of str
        Words that are not genres, in the form of `spelling`.
    """

    aliases: Mapping[str, str]
    known: Mapping[str, str]
    ignored: frozenset[str] = frozenset()

    def key(self, word: str) -> str:
        """Return the key that all words for a genre share."""
        spelled = spelling(word)
        return spelling(self.aliases[spelled]) if spelled in self.aliases else spelled

    def parts(self, word: str) -> tuple[str, ...]:
        """Split a word such as "Rock; Pop" or "Rock/Pop", unless the whole is a known name."""
        if spelling(word) in self.aliases or self.key(word) in self.known:
            return (word.strip(),)
        return tuple(part for part in _SEPARATORS.split(word.strip()) if part and spelling(part))

    def is_ignored(self, word: str) -> bool:
        """Return whether a word is not a genre."""
        return spelling(word) in self.ignored


def genre_spelling(
    aliases: Mapping[str, str] | None = None,
    known: Iterable[str] = (),
    ignored: Iterable[str] = (),
    own: Collection[str] = (),
) -> GenreSpelling:
    """Return the spelling rules for a user's library.

    Parameters
    ----------
    aliases : mapping of str to str
        The user's own, by word; they win over `COMMON_ALIASES`.
    known : iterable of str
        Names that win over other words for the same.
    ignored : iterable of str
        Words that are not genres.
    own : collection of str
        Names of the user's tree and whitelist, in the form of `spelling`: a genre that is there is not an alias.
    """
    common = {spelling(word): name for word, name in COMMON_ALIASES.items() if spelling(word) not in own}
    chosen = {spelling(word): name for word, name in (aliases or {}).items()}
    common = {word: chosen.get(spelling(name), name) for word, name in common.items()}
    names = {spelling(name): name for name in (*common.values(), *known, *chosen.values())}
    return GenreSpelling(common | chosen, names, frozenset(map(spelling, ignored)))


@dataclass(frozen=True)
class UnifiedGenre:
    """One genre, how many files have it, and the words for it with how many files use each."""

    name: str
    files: int
    words: Mapping[str, int]


def unify(counts: Mapping[str, int], rules: GenreSpelling) -> list[UnifiedGenre]:
    """Gather words that mean the same, most frequent genre first.

    The name is the one that `rules` know, or else the most frequent word.

    Parameters
    ----------
    counts : mapping of str to int
        How often each word occurs.
    rules : GenreSpelling
    """
    words: defaultdict[str, Counter[str]] = defaultdict(Counter)
    parts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, count in counts.items():
        for part in rules.parts(word):
            if not rules.is_ignored(part):
                words[rules.key(part)][word] += count
                parts[rules.key(part)][part] += count
    found = [
        UnifiedGenre(rules.known.get(key) or _preferred(parts[key]), sum(of_key.values()), dict(of_key.most_common()))
        for key, of_key in words.items()
    ]
    return sorted(found, key=lambda genre: (-genre.files, genre.name))


def _preferred(words: Mapping[str, int]) -> str:
    return min(words, key=lambda word: (-words[word], word.islower() or (word.isupper() and len(word) > 3), word))


class UnifiedNames:
    """Maps the words of a library to one name per genre."""

    def __init__(self, genres: Iterable[UnifiedGenre], rules: GenreSpelling) -> None:
        self._rules = rules
        self._names = {rules.key(genre.name): genre.name for genre in genres}

    def __call__(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the names that some words stand for, each once and in their order; ignored words are left out."""
        rules = self._rules
        parts = [part for word in words for part in rules.parts(word) if not rules.is_ignored(part)]
        return tuple(dict.fromkeys(self._names.get(rules.key(part), part) for part in parts))


def fold_rare(counts: Mapping[str, int], paths: Mapping[str, Path], minimum: int) -> dict[str, str]:
    """Return, for rare genres, the nearest wider genre that is frequent enough together with what folds into it.

    Parameters
    ----------
    counts : mapping of str to int
        Songs by name.
    paths : mapping of str to tuple of str
        Names from the root of the tree to a genre, by `spelling`.
    minimum : int
        Number of songs from which a genre is kept.

    Returns
    -------
    dict of str to str
        Wider genre by rare genre; one without a wider genre in the tree is left out.
    """
    totals = Counter({spelling(name): count for name, count in counts.items()})
    folded: dict[str, str] = {}
    wider = {path[: depth + 1]: None for key in totals for path in [paths.get(key, ())] for depth in range(len(path))}
    for path in sorted(wider, key=lambda path: (-len(path), path)):
        key, parent = spelling(path[-1]), spelling(path[-2]) if len(path) > 1 else None
        if parent is not None and 0 < totals[key] < minimum:
            folded[key] = parent
            totals[parent] += totals[key]
    names = {spelling(path[-1]): titled(path[-1]) for path in wider} | {spelling(name): name for name in counts}
    return {name: names[_end(spelling(name), folded)] for name in counts if spelling(name) in folded}


def titled(name: str) -> str:
    """Return a genre of the tree as it is written: with capitals, if it has none."""
    return name.title() if name.islower() else name


def _end(key: str, folded: Mapping[str, str]) -> str:
    while key in folded:
        key = folded[key]
    return key
