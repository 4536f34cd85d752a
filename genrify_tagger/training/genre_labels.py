"""The ten genres, and what the labels of datasets mean in terms of them."""

from __future__ import annotations

from collections.abc import Sequence

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
POP_ROCK = frozenset({"metal", "pop", "rock"})
POP_ROCK_GROUP = "pop/rock"

# AllMusic's genres; all others are outside of the ten.
ALLMUSIC = {
    "Pop/Rock": POP_ROCK,
    "Rap": frozenset({"hiphop"}),
    "Reggae": frozenset({"reggae"}),
    "Jazz": frozenset({"jazz"}),
    "Country": frozenset({"country"}),
    "Blues": frozenset({"blues"}),
    "Classical": frozenset({"classical"}),
}
OTHER_NAMES = {"hip-hop": "hiphop", "hip hop": "hiphop", "heavy metal": "metal", "r'n'b": "rnb", "r&b": "rnb"}

_MEANINGS = {name.casefold(): genres for name, genres in ALLMUSIC.items()}


def genres_of_label(label: str) -> frozenset[str]:
    """Return which of the ten genres a label may mean; none if it is outside of them.

    >>> sorted(genres_of_label("Pop/Rock")), sorted(genres_of_label("Hip-Hop")), sorted(genres_of_label("Latin"))
    (['metal', 'pop', 'rock'], ['hiphop'], [])
    """
    name = normalise_label(label)
    if name in GENRES:
        return frozenset({name})
    return _MEANINGS.get(name, frozenset())


def normalise_label(label: str) -> str:
    """Return a label in lower case, with known spellings unified.

    >>> normalise_label(" Hip-Hop "), normalise_label("Old-Time / Historic")
    ('hiphop', 'old-time / historic')
    """
    name = label.strip().casefold()
    return OTHER_NAMES.get(name, name)


def acceptable_genres(labels: Sequence[str]) -> frozenset[str]:
    """Return which of the ten genres count as right for a clip with these labels."""
    return frozenset[str]().union(*(genres_of_label(label) for label in labels))


def genre_group(label: str) -> str:
    """Return the group of a genre: pop, rock and metal are one."""
    return POP_ROCK_GROUP if label in POP_ROCK else label
