"""Read the whitelist and the canonical tree that the plugin's settings name, or lastgenre's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from beets.ui import UserError  # type: ignore[attr-defined] # beets.exceptions came after 2.7

if TYPE_CHECKING:
    from genrify_tagger.genre_rules import Tree

LASTGENRE = "beetsplug.lastgenre"


def load_whitelist(choice: object, lastgenre: object) -> frozenset[str]:
    """Read the whitelist.

    Parameters
    ----------
    choice : bool, str or None
        `genrify.whitelist`: a file with one genre per line, true for lastgenre's, false for none.
    lastgenre : object
        `lastgenre.whitelist`; used for true if it is a file.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    from genrify_tagger.genre_rules import parse_whitelist

    file = _chosen_file(choice, lastgenre, "genres.txt", "whitelist")
    return frozenset() if file is None else parse_whitelist(_text(file, "whitelist"))


def load_tree(choice: object, lastgenre: object) -> Tree:
    """Read the canonical tree: a file of nested YAML lists, lastgenre's for true; see `load_whitelist`."""
    from genrify_tagger.genre_rules import parse_tree

    file = _chosen_file(choice, lastgenre, "genres-tree.yaml", "canonical")
    if file is None:
        return {}
    try:
        return parse_tree(_text(file, "canonical"))
    except ValueError as error:
        raise UserError(f"genrify.canonical: {file} {error}") from error


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
