"""Convert what the user wrote to a setting's value, or explain what is wrong with it."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from genrify_tagger.config.declarations import Setting
from genrify_tagger.config.default_paths import sqlite_url
from genrify_tagger.files import display_path

# Players split genres at these; control characters do not belong in tags at all.
_SPLITTERS = re.compile(r"[;/,|\x00-\x1f\x7f]")
_SERVER = re.compile(r"https?://[^\s@/?#]+(/[^\s@?#]*)?")
_ALLOWED = {r"[\w.-]+": '; allowed are letters, digits, "_", "." and "-"'}  # by pattern

# Beyond any sensible setting; Python's unbounded integers would not fit into a float.
_LARGEST = 2**53


def check(setting: Setting, raw: object, *, folder: str) -> Any:
    """Return the value of `setting` that `raw` stands for.

    Parameters
    ----------
    setting : Setting
        Whose value it is.
    raw : object
        The value from TOML, `parse_text` or the command line.
    folder : str
        The folder that relative paths are relative to.

    Raises
    ------
    ValueError
        If the type is wrong or the value not allowed; the message starts with "must".
    """
    hint, optional = _without_none(setting.hint)
    if raw is None and optional:
        return None
    if hint is bool:
        return _flag(raw)
    if hint is int or hint is float:
        return _number(setting, raw, whole=hint is int)
    if hint is str:
        return _text(setting, raw, folder)
    if setting.choices:
        return _choice(setting.choices, raw)
    if typing.get_origin(hint) is tuple:
        return _texts(setting, raw, folder)
    return _table(setting, raw, folder)


def parse_text(setting: Setting, text: str) -> object:
    """Parse the text of an environment variable for `check`.

    Lists are TOML arrays or separated by commas, tables are TOML inline tables, flags true or false.

    Raises
    ------
    ValueError
        If the text does not fit the setting.
    """
    hint, optional = _without_none(setting.hint)
    if optional and not text.strip():
        return None
    if hint is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.strip().lower(), text
        )
    if hint is int or hint is float:
        return _parse_number(text)
    if typing.get_origin(hint) is tuple:
        return _toml(text) if text.lstrip().startswith("[") else [w.strip() for w in text.split(",")] if text else []
    if hint is str or setting.choices:
        return text
    return _toml(text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the most similar of the `known` words; None if none is similar."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def join_quoted(values: Iterable[str], last: str = "or") -> str:
    """Return quoted words as a list in a sentence: ``"a", "b" or "c"``."""
    quoted = [f'"{v}"' for v in values]
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return inner[0], True
    return hint, False


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError(f"must be true or false, not {_shown(raw)}")
    return raw


def _number(setting: Setting, raw: object, *, whole: bool) -> float:
    kind = "a whole number" if whole else "a number"
    low, high = setting.low, setting.high
    if low is not None and high is not None:
        kind += f" from {low:g} to {high:g}"
    elif low is not None:
        kind += f" of at least {low:g}"
    if isinstance(raw, bool) or not isinstance(raw, int if whole else (int, float)):
        raise ValueError(f"must be {kind}, not {_shown(raw)}")
    lowest = -_LARGEST if low is None else low
    highest = _LARGEST if high is None else high
    if not lowest <= raw <= highest:  # false for NaN as well
        raise ValueError(f"must be {kind}, not {_shown(raw)}")
    return raw if whole else float(raw)


def _choice(choices: tuple[str, ...], raw: object) -> str:
    if not isinstance(raw, str) or raw not in choices:
        raise ValueError(f"must be {join_quoted(choices)}, not {_shown(raw)}")
    return raw


def _texts(setting: Setting, raw: object, folder: str) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple):
        example = setting.example or ("...",)
        raise ValueError(f"must be a list such as [{join_quoted(example[:1])}], not {_shown(raw)}")
    return tuple(_text(setting, item, folder) for item in raw)


def _table(setting: Setting, raw: object, folder: str) -> dict[str, str]:
    is_path = setting.form == "path"
    if not isinstance(raw, Mapping):
        example = '"/srv/music" = "/mnt/music"' if is_path else 'hiphop = "Hip-Hop"'
        raise ValueError(f"must be a table such as {{ {example} }}, not {_shown(raw)}")
    if is_path:
        return {_path(str(here), folder): _text(setting, there, folder) for here, there in raw.items()}
    return {str(label).lower(): _text(setting, name, folder) for label, name in raw.items()}


def _text(setting: Setting, raw: object, folder: str) -> str:
    if not isinstance(raw, str):
        raise ValueError("must be text in quotes" + ("" if setting.secret else f", not {_shown(raw)}"))
    if "\0" in raw:
        raise ValueError("must not contain a NUL character")
    if setting.pattern and not re.fullmatch(setting.pattern, raw):
        if setting.secret:
            raise ValueError(f"must be like {_shown(setting.example)}")
        allowed = _ALLOWED.get(setting.pattern, "")
        raise ValueError(f"must not be {_shown(raw)}{allowed}" if raw else "must not be empty")
    if setting.form == "path":
        return _path(raw, folder) if raw else raw
    if setting.form == "database":
        return _database(raw, folder)
    if setting.form == "server":
        return _server(setting, raw)
    if setting.form == "mpd":
        return _mpd(raw, folder)
    if setting.form == "genre":
        return _genre(raw)
    if setting.form == "glob" and not raw.strip("/"):
        raise ValueError(f"must not contain the pattern {_shown(raw)}, which matches nothing")
    return raw


def _path(text: str, folder: str) -> str:
    return os.path.join(folder, os.path.expanduser(text))


def _database(text: str, folder: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "sqlite":
        return text
    path = rest.removeprefix("/") if separator else text
    if path in ("", ":memory:") or path.startswith("file:"):
        return text
    if "?" in path and not separator:
        raise ValueError("must not be a path with a question mark, which has a meaning in database URLs")
    return sqlite_url(_path(path, folder))


def _server(setting: Setting, text: str) -> str:
    if text and not _SERVER.fullmatch(text):  # the text is not shown: it may hold a password
        raise ValueError(f"must be a URL such as {_shown(setting.example)}, without user name and query")
    return text.rstrip("/")


def _mpd(text: str, folder: str) -> str:
    if text.startswith("@"):  # a socket without a file
        return text
    if "@" in text.partition("/")[0]:
        raise ValueError("must not contain the password, which is notify.mpd_password")
    return _path(text, folder) if "/" in text or text.startswith("~") else text


def _genre(name: str) -> str:
    if not name.strip():
        raise ValueError("must not contain an empty name")
    bad = _SPLITTERS.search(name)
    if bad:
        raise ValueError(f"must not contain the name {_shown(name)}: players treat {_shown(bad[0])} as a separator")
    return name.strip()


def _parse_number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _toml(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"cannot be read as a TOML value: {_shown(text)}") from error


def _shown(raw: object) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str):
        return f'"{_shortened(display_path(raw))}"'
    if isinstance(raw, Mapping):
        return "a table"
    return "a list" if isinstance(raw, list | tuple) else _shortened(str(raw))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
