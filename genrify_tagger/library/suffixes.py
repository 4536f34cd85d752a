"""Recognise audio files by their names."""

from __future__ import annotations

#: Containers that can hold a genre.
TAGGABLE = frozenset(
    {
        *(".mp3", ".mp2", ".mp1", ".mpga"),
        *(".flac", ".wav", ".wave", ".aif", ".aiff", ".aifc"),
        *(".m4a", ".m4b", ".m4p", ".m4r", ".mp4", ".alac"),
        *(".ogg", ".oga", ".opus", ".spx"),
        *(".wma", ".asf"),
        *(".ape", ".wv", ".mpc", ".mp+", ".mpp"),
        *(".dsf", ".tta"),
    }
)

#: Audio without a genre field, or with one that is not written: reported as skipped.
NOT_TAGGABLE = frozenset(
    {
        *(".aac", ".adts", ".ac3", ".eac3", ".dts", ".amr", ".awb"),
        *(".mka", ".mkv", ".webm", ".weba"),
        *(".au", ".snd", ".caf", ".w64", ".rf64", ".voc", ".ra", ".rm"),
        *(".tak", ".ofr", ".ofs", ".shn", ".dff", ".la"),
    }
)


def suffix(name: str) -> str:
    """Return the suffix of a file name in lower case, with its dot; "" if it has none."""
    stem, dot, last = name.rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def is_audio(name: str) -> bool:
    """Whether a file of this name is audio, taggable or not."""
    found = suffix(name)
    return found in TAGGABLE or found in NOT_TAGGABLE


def is_hidden(name: str) -> bool:
    """Whether a name is hidden, as the program's temporary files (".genrify-...") are."""
    return name.startswith(".")
