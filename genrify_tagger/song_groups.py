"""Which songs belong together: keys by which the songs of an artist and of an album are found.

Compilations and soundtracks do not count as albums, nor "Various Artists" as an artist: there the artist is the one
that the song itself names.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping

FOLDER = "folder:"  # begins the album key of songs without artist and album: their folder stands for the album
KEY_LIMIT = 500  # bytes, beyond which a digest stands for a key: PostgreSQL's indexes take at most 2,700
FOLDER_LIMIT = 40  # songs up to which a folder is taken for an album

_NOBODY = {
    *("", "unknown", "unknownartist", "unbekannt", "unbekannterkunstler", "noartist", "none", "untitled", "artist"),
    *("various", "variousartists", "va", "variousartist", "diverse", "diverseinterpreten", "verschiedene"),
    *("verschiedeneinterpreten", "verschiedenekunstler", "artistesdivers", "artistivari", "variosartistas"),
    *("soundtrack", "originalsoundtrack", "ost", "motionpicturesoundtrack", "compilation", "sampler"),
}
_NO_ALBUM = {"", "unknown", "unknownalbum", "untitled", "single", "singles", "none", "misc", "greatesthits"}
_DISC = re.compile(r"[\s._\-(\[]*\b(?:cd|dis[ck]|disque)[\s._#-]*\d{1,2}\b(?:\s*of\s*\d+)?[)\]]?$", re.IGNORECASE)
_DISC_FOLDER = re.compile(r"(?:cd|dis[ck]|disque)[\s._#-]*\d{1,2}\b.*", re.IGNORECASE)
_GUESTS = re.compile(r"\s*[\[(]?\b(?:feat|ft|featuring|vs)\b\.?\s.*$", re.IGNORECASE)
_SOUNDTRACK = re.compile(r"\b(?:soundtrack|motion picture|o\.?s\.?t)\b", re.IGNORECASE)


def artist_key(tags: Mapping[str, str]) -> str:
    """Return what is the same for all songs of an artist; "" if the tags name none.

    Parameters
    ----------
    tags : mapping of str to str
        "artist", "album_artist", "artist_id" and "compilation" are looked at.
    """
    if not _is_compilation(tags):
        name = _plain(tags.get("album_artist", ""))
        if name not in _NOBODY:
            return _text(name)
    name = _plain(_GUESTS.sub("", tags.get("artist", "")))
    if name not in _NOBODY:
        return _text(name)
    identifier = tags.get("artist_id", "").strip().casefold()
    return _text(f"id:{identifier}") if identifier else ""


def album_key(tags: Mapping[str, str], path: str) -> str:
    """Return what is the same for all songs of an album; "" for compilations, soundtracks and songs of no album.

    The discs of an album are one. Without an artist or an identifier the folder tells albums of the same name apart.
    """
    name = _plain(_DISC.sub("", tags.get("album", "")) or tags.get("album", ""))
    if not name and not artist_key(tags):
        return _text(f"{FOLDER}{os.path.dirname(path)}")
    if name in _NO_ALBUM or _is_compilation(tags) or _SOUNDTRACK.search(tags.get("album", "")):
        return ""
    identifier = tags.get("album_id", "").strip().casefold()
    if identifier:
        return _text(f"id:{identifier}")
    return _text(f"{artist_key(tags) or album_folder(path)}/{name}")


def album_folder(path: str) -> str:
    """Return the folder in which a song's album is looked for: its own, or for one disc of several that of the album.

    >>> album_folder("/m/The Wall/CD 2/01.mp3"), album_folder("/m/The Wall (Disc 2)/01.mp3")
    ('/m/The Wall', '/m/The Wall')
    """
    above, name = os.path.split(os.path.dirname(path))
    album = "" if _DISC_FOLDER.fullmatch(name) else _DISC.sub("", name)
    return os.path.join(above, album) if album else above


def _text(key: str) -> str:
    data = key.encode("utf-8", "backslashreplace")
    if len(data) <= KEY_LIMIT:
        return data.decode()
    kind = FOLDER if key.startswith(FOLDER) else ""
    return f"{kind}digest:{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _is_compilation(tags: Mapping[str, str]) -> bool:
    album_artist = _plain(tags.get("album_artist", ""))
    is_marked = tags.get("compilation", "").strip() in ("1", "true", "yes")
    return is_marked or (bool(album_artist) and album_artist in _NOBODY)


def _plain(name: str) -> str:
    """Return a name without case, accents, punctuation and a leading "The"."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    found = "".join(letter for letter in letters if letter.isalnum())
    return found.removeprefix("the") if letters.startswith("the ") else found
