"""The plugin's settings and the command's options, and how they translate to Genrify Tagger's own settings."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from beets import config as beets_config
from beets import ui
from beets.ui import UserError  # type: ignore[attr-defined] # beets.exceptions came after 2.7

from genrify_tagger.errors import GenrifyError

from .lastgenre_files import load_tree, load_whitelist

if TYPE_CHECKING:
    import optparse

    from confuse import ConfigView

    from genrify_tagger.config import Settings
    from genrify_tagger.genre_rules import GenreRules
    from genrify_tagger.pipeline import Session

# Null: as in Genrify Tagger's own settings file, or its default.
DEFAULTS: Final[Mapping[str, Any]] = {
    "auto": True,
    "count": None,
    "force": False,
    "keep_existing": False,
    "whitelist": False,
    "canonical": False,
    "prefer_specific": False,
    "title_case": True,
    "min_confidence": None,
    "model": None,
    "vocabulary": None,
    "tree_level": None,
    "scope": None,
    "names": {},
    "existing": False,
    "incomplete": None,
    "album_genre": True,
    "jobs": None,
    "database": None,
    "settings": None,
}
_SETTING_OF: Final = {
    "count": "tagging.max_genres",
    "min_confidence": "tagging.min_confidence",
    "model": "analysis.model",
    "vocabulary": "analysis.vocabulary",
    "tree_level": "tagging.tree_level",
    "scope": "tagging.scope",
    "names": "tagging.names",
    "incomplete": "tagging.incomplete",
    "jobs": "analysis.jobs",
    "database": "database.url",
}
_OVERRIDER: Final = "beets' settings"
# The part of hints that does not apply to beets, which has neither the option nor the variable.
_COMMAND_LINE = "--database, GENRIFY_DATABASE__URL or the setting"


@dataclass(frozen=True)
class RunOptions:
    """Options of one run of the command, or of an import.

    Attributes
    ----------
    write : bool
        Whether beets writes the files.
    pretend, explain, undo : bool
        As the command's options of the same names.
    force, keep_existing : bool
        Whether present genres are replaced, and whether new ones are appended to them instead.
    album_genre : bool
        Whether albums get a genre.
    count : int
        Maximum number of genres of an item or album.
    """

    write: bool
    pretend: bool = False
    explain: bool = False
    undo: bool = False
    force: bool = False
    keep_existing: bool = False
    album_genre: bool = True
    count: int = 1


def repair_blocks(log: logging.Logger) -> None:
    """Replace a `genrify:` block that is not a mapping (because all of it is commented out, say) by an empty one."""
    for source in beets_config.sources:
        block = source.get("genrify", {})
        if not isinstance(block, dict):
            source["genrify"] = {}
            if block is not None:
                log.warning("genrify: {} is not a mapping of settings; using the defaults", block)


def is_auto(view: ConfigView, log: logging.Logger) -> bool:
    """Return whether imports are analysed; if the setting is invalid, warn and return False."""
    from confuse import ConfigError

    try:
        return bool(view["auto"].get(bool))
    except ConfigError:
        log.warning("genrify.auto must be yes or no; imports are not analysed")
        return False


def convert_keeps_copies(names: Sequence[str]) -> bool:
    """Return whether the convert plugin keeps transcoded copies and imports the original files."""
    from confuse import ConfigError

    try:
        convert = beets_config["convert"]
        return "convert" in names and convert["auto_keep"].get(bool) and not convert["auto"].get(bool)
    except ConfigError:
        return False


def add_options(command: ui.Subcommand) -> None:
    """Add the command's options; names and letters follow `lastgenre` and `modify` where these have them."""
    parser = command.parser
    parser.add_option(
        "-p", "--pretend", action="store_true", default=False, help="show what would change, but change nothing"
    )
    parser.add_option(
        "-w", "--write", action="store_true", default=None, help="write the files (default: import.write)"
    )
    parser.add_option("-W", "--nowrite", action="store_false", dest="write", help="do not write the files")
    parser.add_option(
        "-f",
        "--force",
        action="store_true",
        default=None,
        help="replace present genres; write again where a genre was undone or changed",
    )
    parser.add_option("-F", "--no-force", action="store_false", dest="force", help="only fill in what is missing")
    parser.add_option(
        "-k", "--keep-existing", action="store_true", default=None, help="with --force: append to present genres"
    )
    parser.add_option(
        "-K",
        "--no-keep-existing",
        action="store_false",
        dest="keep_existing",
        help="with --force: replace present genres",
    )
    parser.add_option("-c", "--count", type="int", metavar="N", help="maximum number of genres of an item")
    parser.add_option("--min-confidence", type="float", metavar="0..1", help="write no genre below this confidence")
    parser.add_option("--vocabulary", metavar="NAME", help="vocabulary (list of genres) to use")
    parser.add_option(
        "--incomplete", action="store_true", default=None, help="also tag files that are shorter than their headers say"
    )
    parser.add_option(
        "--tree-level",
        metavar="LEVEL",
        help="of the genre tree, write the most specific genre (leaf), its top genre (parent), or both",
    )
    parser.add_option("-j", "--jobs", type="int", metavar="N", help="number of analysis processes")
    parser.add_option(
        "-e", "--explain", action="store_true", default=False, help="print all scores and the decision; change nothing"
    )
    parser.add_option(
        "--undo", action="store_true", default=False, help="undo the last run; repeat to undo the one before"
    )
    parser.add_album_option()
    parser.usage = (
        "%prog [options] [QUERY]\n\n"
        "Examples:\n"
        "  beet genrify                           fill in what is missing\n"
        "  beet genrify --pretend artist:Abba     show what would happen\n"
        "  beet genrify --explain title:'So What'\n"
        "  beet genrify --force --album year:1970..1979\n"
        "  beet genrify --undo"
    )


def subcommand(parser: optparse.OptionParser | None, arguments: Sequence[str]) -> str | None:
    """Return the full name of the subcommand in beets' arguments; None if the parser knows none."""
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-"):
            known = getattr(parser, "subcommands", [])
            return next((command.name for command in known if word in (command.name, *command.aliases)), None)
        option = parser.get_option(word) if parser else None
        if option is not None and option.takes_value():
            next(rest, None)
    return None


def run_options(view: ConfigView, options: optparse.Values) -> RunOptions:
    """Return the options of a run of the command; command-line options win (`view.set_args` was called).

    Raises
    ------
    UserError
        If options exclude each other.
    """
    if options.undo and options.explain:
        raise UserError("--undo and --explain exclude each other")
    return RunOptions(
        write=ui.should_write(options.write),
        pretend=bool(options.pretend),
        explain=bool(options.explain),
        undo=bool(options.undo),
        **_policy(view),
    )


def import_run_options(view: ConfigView) -> RunOptions:
    """Return the options of an import, where beets writes the files at the end."""
    return RunOptions(write=False, **_policy(view))


def _policy(view: ConfigView) -> dict[str, Any]:
    return {key: view[key].get(bool) for key in ("force", "keep_existing", "album_genre")}


def load(view: ConfigView, *, explain: bool = False) -> Settings:
    """Return Genrify Tagger's settings, overridden by the plugin's.

    Raises
    ------
    ConfigError, UserError
        If a setting is invalid.
    """
    from genrify_tagger.config import load_settings, shipped_choice
    from genrify_tagger.pipeline.label_names import unknown_names

    if not isinstance(view["names"].get() or {}, Mapping):
        raise UserError("genrify.names must be a mapping with a line such as `hiphop: Rap` for each label")
    given = {name: view[key].get() for key, name in _SETTING_OF.items() if key not in ("model", "database")}
    overrides = {
        **{name: value for name, value in given.items() if value != {}},
        **shipped_choice(given["analysis.vocabulary"]),
        "analysis.model": _path_or_url(view["model"]),
        "database.url": _path_or_url(view["database"]),
        "tagging.existing": _existing(view),
        "tagging.field": "genre",  # which is what beets writes
        "tagging.hardlinks": "refuse",  # beets writes the file in place
        "analysis.existing": explain or view["existing"].get(bool),
    }
    settings = load_settings(
        config_file=_path_or_url(view["settings"]), overrides=overrides, overrider=_OVERRIDER
    ).settings
    for label, hint in unknown_names(settings).items() if view["names"].get() else ():
        raise UserError(f"genrify.names: the model has no label {label}; {hint}")
    return settings


def describe_error(view: ConfigView, error: GenrifyError | UserError | OSError, about: bytes = b"") -> str:
    """Return an error's message with settings named as in beets' configuration.

    Parameters
    ----------
    view : ConfigView
        The plugin's settings.
    error : GenrifyError, UserError or OSError
        The error.
    about : bytes
        The file that the caller names itself.
    """
    if not isinstance(error, GenrifyError):
        return getattr(error, "strerror", None) or str(error)
    path, message, hint = error.path, error.message, error.hint or ""
    for key, name in _SETTING_OF.items():
        plugin_name = f"genrify.{key}"
        message = message.replace(f"{_OVERRIDER}: {name}", plugin_name)
        if view[key].get() not in (None, {}):
            message = message.replace(name, plugin_name)
        hint = hint.replace(f"{_COMMAND_LINE} {name}", f"the setting {name}").replace(name, plugin_name)
    if path is not None and path == _path_or_url(view["settings"]):
        message = f"{message} (it is named by genrify.settings)"
    named = f"{path}: " if path and os.fsencode(path) != about else ""
    return "".join([named, message, f"; {hint}" if hint else ""])


def _existing(view: ConfigView) -> str:
    if not view["force"].get(bool):
        return "keep"
    return "merge" if view["keep_existing"].get(bool) else "replace"


def _path_or_url(view: ConfigView) -> str | None:
    """Return a path, resolved against the configuration folder if relative; a database URL as it is."""
    raw = view.get()
    if raw is None or "://" in str(raw):
        return None if raw is None else str(raw)
    return str(view.as_filename())


def load_genre_rules(view: ConfigView, session: Session) -> GenreRules:
    """Return the rules that map labels to genre names.

    Raises
    ------
    UserError
        If the whitelist or the tree cannot be read.
    """
    from genrify_tagger.genre_rules import GenreRules

    lastgenre = beets_config["lastgenre"]
    own = session.words.files
    canonical = view["canonical"].get()
    specific = view["prefer_specific"].get(bool)
    writes_both = session.active.vocabulary.tree is not None and session.settings.tagging.tree_level == "both"
    return GenreRules(
        written={label: session.words.written_name(label) for label in session.active.vocabulary.labels},
        chosen=session.settings.tagging.names,
        count=max(session.settings.tagging.max_genres, 2 if writes_both else 1),
        whitelist=load_whitelist(view["whitelist"].get(), _if_set(lastgenre["whitelist"])) or own.whitelist,
        tree=load_tree(canonical or specific, _if_set(lastgenre["canonical"])) or own.tree,
        canonical=canonical is not False or bool(own.whitelist),
        prefer_specific=specific,
        keep_existing=_existing(view) == "merge",
        title_case=view["title_case"].get(bool),
    )


def _if_set(view: ConfigView) -> object:
    return view.get() if view.exists() else None


def unknown_keys(view: ConfigView) -> list[str]:
    """Return a warning for each unknown key under `genrify:`."""
    found = []
    for key in map(str, view):
        if key not in DEFAULTS and key != "album":
            near = difflib.get_close_matches(key, DEFAULTS, n=1)
            found.append(f"unknown setting genrify.{key}" + (f"; did you mean {near[0]}?" if near else ""))
    return found
