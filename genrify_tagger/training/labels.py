"""What the labels of datasets mean in the vocabulary of ten genres."""

from __future__ import annotations

from collections.abc import Sequence

from genrify_tagger.training.data import ALLMUSIC, GENRES, POP_ROCK

POP_ROCK_GROUP = "pop/rock"
OTHER_NAMES = {"hip-hop": "hiphop", "hip hop": "hiphop", "heavy metal": "metal", "r'n'b": "rnb", "r&b": "rnb"}

_MEANINGS = {name.casefold(): meaning for name, meaning in ALLMUSIC.items()}


def meaning(label: str) -> frozenset[str]:
    """Return which of the ten genres a label leaves open; none if it lies outside them.

    >>> sorted(meaning("Pop/Rock")), sorted(meaning("Hip-Hop")), sorted(meaning("Latin"))
    (['metal', 'pop', 'rock'], ['hiphop'], [])
    """
    name = plain(label)
    if name in GENRES:
        return frozenset({name})
    return _MEANINGS.get(name, frozenset())


def plain(label: str) -> str:
    """Return a label in the spelling used here: lower case, known names unified.

    >>> plain(" Hip-Hop "), plain("Old-Time / Historic")
    ('hiphop', 'old-time / historic')
    """
    name = label.strip().casefold()
    return OTHER_NAMES.get(name, name)


def answers(labels: Sequence[str]) -> frozenset[str]:
    """Return which of the ten genres are right for a clip with these labels."""
    return frozenset[str]().union(*(meaning(label) for label in labels))


def group(label: str) -> str:
    """Return the group a genre of the ten belongs to: pop, rock and metal count as one."""
    return POP_ROCK_GROUP if label in POP_ROCK else label


def groups_of(labels: Sequence[str]) -> frozenset[str]:
    """Return the groups that are right for a clip with these labels."""
    return frozenset(group(name) for name in answers(labels))
