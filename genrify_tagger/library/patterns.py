r"""Include and exclude patterns.

The patterns are those of ``.gitignore`` without ``!``. They ignore case and the composition of accents, because a
pattern that misses a folder for its spelling would let files be changed:

* ``*`` stands for any characters but ``/``, ``?`` for one, ``[abc]``, ``[a-z]`` and ``[!abc]`` for one of (none of) a
  set; ``\`` makes the next character literal.
* A pattern without ``/``, or with one only at its end, matches a name at any depth: ``*.flac``, ``Podcasts/``.
* Any other ``/`` anchors the pattern at the root: ``/Podcasts``, ``Artists/A*/live``.
* ``**/`` stands for any number of folders, ``/**`` at the end for everything inside.
* ``/`` at the end means folders only.
* A folder that matches includes everything in it.

They are matched against the path relative to the root. The language is too small for a dependency (pathspec,
wcmatch); the tests compare it with git itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from genrify_tagger.library.suffixes import is_audio, is_hidden


class PathPatterns:
    """Compiled include and exclude patterns.

    Parameters
    ----------
    include : iterable of str
        If there are any, a file has to match one of them or be in a folder that does.
    exclude : iterable of str
        What matches one of these, or is in a folder that does, is left out; takes precedence over `include`.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = _Patterns(include)
        self._exclude = _Patterns(exclude)

    def excludes(self, relative: str, *, folder: bool) -> bool:
        """Whether this file or folder itself is left out, regardless of its parents."""
        return self._exclude.fit(relative, folder=folder)

    def includes(self, relative: str, *, folder: bool) -> bool:
        """Whether this file or folder itself is included, regardless of its parents."""
        return self._include.is_empty or self._include.fit(relative, folder=folder)

    def excludes_any(self, relative: str) -> bool:
        """Whether a file or one of its parents is left out."""
        return self.excludes(relative, folder=False) or any(self.excludes(p, folder=True) for p in parents(relative))

    def includes_any(self, relative: str) -> bool:
        """Whether a file or one of its parents is included."""
        return self.includes(relative, folder=False) or any(self.includes(p, folder=True) for p in parents(relative))

    def wants(self, relative: str) -> bool:
        """Whether a walk from the root would yield this file.

        Parameters
        ----------
        relative : str
            The file's path relative to the root.
        """
        parts = relative.split("/")
        return (
            is_audio(parts[-1])
            and not any(is_hidden(part) for part in parts)
            and not self.excludes_any(relative)
            and self.includes_any(relative)
        )

    def enters(self, relative: str) -> bool:
        """Whether a walk from the root would enter this folder (which need not be included itself).

        Parameters
        ----------
        relative : str
            The folder's path relative to the root; "" is the root itself.
        """
        parts = relative.split("/")
        return not any(is_hidden(part) for part in parts) and not any(
            self.excludes(folder, folder=True) for folder in (*parents(relative), relative)
        )


def parents(relative: str) -> Iterator[str]:
    """Yield the parents of a relative path, outermost first."""
    at = relative.find("/")
    while at > 0:
        yield relative[:at]
        at = relative.find("/", at + 1)


class _Patterns:
    """A list of patterns as two regular expressions: for folders, and for files."""

    def __init__(self, patterns: Iterable[str]) -> None:
        anything: list[str] = []
        folders: list[str] = []
        for pattern in patterns:
            (folders if pattern.endswith("/") else anything).append(_translate(_composed(pattern)))
        self.is_empty = not anything and not folders
        self._anything = _one_of(anything)
        self._folders = _one_of(anything + folders)

    def fit(self, relative: str, *, folder: bool) -> bool:
        expression = self._folders if folder else self._anything
        return expression is not None and expression.fullmatch(_composed(relative)) is not None


def _one_of(expressions: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(expressions), re.IGNORECASE | re.DOTALL) if expressions else None


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _translate(pattern: str) -> str:
    """Return the regular expression for a pattern, to be matched against a whole relative path."""
    body = pattern.rstrip("/")
    tied = "/" in body
    segments = body.lstrip("/").split("/")
    result = "" if tied else "(?:.*/)?"
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        if segment == "**" and tied:
            result += ".+" if index == last else "(?:.*/)?"
        else:
            result += _translate_segment(segment) + ("/" if index < last else "")
    return f"(?:{result})"


def _translate_segment(segment: str) -> str:
    result, at = "", 0
    while at < len(segment):
        char = segment[at]
        at += 1
        if char == "*":
            result += "[^/]*"
            at += len(segment) - at - len(segment[at:].lstrip("*"))
        elif char == "?":
            result += "[^/]"
        elif char == "[" and (found := re.compile(r"([!^]?)(\]?[^\]]*)\]", re.DOTALL).match(segment, at)) and found[2]:
            result += _translate_set(found[2], negated=bool(found[1]))
            at = found.end()
        elif char == "\\" and at < len(segment):
            result += re.escape(segment[at])
            at += 1
        else:
            result += re.escape(char)
    return result


def _translate_set(members: str, *, negated: bool) -> str:
    """Return the expression for the inside of ``[...]``; a reversed range matches nothing."""
    result, at = "", 0
    members = re.sub(r"\\(.)", r"\1", members, flags=re.DOTALL)
    while at < len(members):
        first = members[at]
        is_range = members[at + 1 : at + 2] == "-" and at + 2 < len(members)
        final = members[at + 2] if is_range else first
        if first <= final:
            result += f"{re.escape(first)}-{re.escape(final)}"
        at += 3 if is_range else 1
    if not result:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{result}]"
