"""`beet genrify`: genres by listening, for libraries that are managed by beets.

The plugin listens through Genrify Tagger's pipeline and shares its memory; the writing is left to beets.
"""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING

from beets import plugins, ui
from beets.ui import UserError  # type: ignore[attr-defined] # beets.exceptions came after 2.7
from beets.util import displayable_path

from genrify_tagger.errors import GenrifyError

from . import albums, flexattrs, options
from .lazy_session import LazySession
from .write_journal import WriteJournal

if TYPE_CHECKING:
    import optparse

    from beets.importer import ImportSession, ImportTask
    from beets.library import Item, Library

    from genrify_tagger.pipeline import Suggestion, Summary

    from .options import Choices
    from .tagging import Tagging


class GenrifyPlugin(plugins.BeetsPlugin):
    """Registers command, import stage, attributes and listeners."""

    item_types = flexattrs.ITEM_TYPES
    album_types = flexattrs.ALBUM_TYPES

    def __init__(self) -> None:
        super().__init__("genrify")
        options.mend_blocks(self._log)
        self.config.add(dict(options.DEFAULTS))
        self._explain = self._undoes = False
        self._command: ui.Subcommand | None = None
        self._lazy = LazySession(lambda: options.load(self.config, explain=self._explain), self._what_runs)
        self._write_journal = WriteJournal(self._lazy, self._log, self._in_words)
        self._heard: dict[int | None, Suggestion] = {}
        self._import: Tagging | None = None
        self._complaint = ""
        if options.is_auto(self.config, self._log):
            self.import_stages = [self.imported]
        self.register_listener("pluginload", self.loaded)
        self.register_listener("import_task_files", self.files_are_in_place)
        self.register_listener("write", self._write_journal.before_write)
        self.register_listener("after_write", self._write_journal.after_write)
        self.register_listener("cli_exit", self.beets_ends)
        atexit.register(self._lazy.close, interrupted=True)

    def loaded(self) -> None:
        """Complain of unknown settings, and go behind lastgenre, wherever the settings name us."""
        for complaint in options.unknown_keys(self.config):
            self._log.warning("{}", complaint)
        found = plugins.find_plugins()
        names = [plugin.name for plugin in found]
        if isinstance(found, list) and "lastgenre" in names[names.index(self.name) :]:
            found.remove(self)
            found.insert(names.index("lastgenre"), self)

    # --- the command ---

    def commands(self) -> list[ui.Subcommand]:
        """Return the command."""
        if self._command is None:
            self._command = ui.Subcommand("genrify", help="give songs a genre by listening to them")
            options.add_options(self._command)
            self._command.func = self.run
        return [self._command]

    def _what_runs(self) -> str:
        """Say which of beets' commands runs, for the journal."""
        parser = self._command.root_parser if self._command else None
        name = options.subcommand(parser, sys.argv[1:])
        return " ".join(["beet", *([name] if name else []), *(["--undo"] if self._undoes else [])])

    def run(self, lib: Library, opts: optparse.Values, query: list[str]) -> None:
        """Carry out `beet genrify`."""
        self.config.set_args(vars(opts))
        choices = options.choices(self.config, opts)
        self._undoes = choices.undo
        self._explain = choices.explain
        ended = False
        try:
            self._carry_out(lib, choices, list(query), by_album=opts.album)
            ended = True
        except GenrifyError as error:
            raise UserError(self._in_words(error)) from error
        except KeyboardInterrupt:
            kept = "nothing was changed, but what was heard" if choices.pretend or choices.explain else "all so far"
            self._log.info("interrupted; {} is kept, and the same command goes on from here", kept)
            raise
        finally:
            self._write_journal.settle_all()
            self._lazy.close(interrupted=not ended)

    def _carry_out(self, lib: Library, choices: Choices, query: list[str], *, by_album: bool) -> None:
        items = [item for album in lib.albums(query) for item in album.items()] if by_album else list(lib.items(query))
        if not items:
            raise UserError("no matching items")
        if choices.undo:
            self._undo(lib, items, choices)
        elif choices.explain:
            self._explain_items(items, choices)
        else:
            self._tag(lib, items, choices)

    def _tag(self, lib: Library, items: list[Item], choices: Choices) -> None:
        tagging = self._tagging(choices)
        changed = {item.id: item for item, advice in tagging.tag(items) if advice.result.status == "tagged"}
        for album_id in sorted({item.album_id for item in changed.values() if item.album_id}):
            album = lib.get_album(album_id)
            if album is not None:
                tagging.settle_album(album, changed if choices.pretend else {})
        self._log.info("{}: {}", _items(len(items)), _summary(tagging.counts, pretend=choices.pretend))
        if changed and not choices.pretend:
            self._log.info("to take this back: beet genrify --undo")

    def _explain_items(self, items: list[Item], choices: Choices) -> None:
        from dataclasses import replace

        from .tagging import explained

        tagging = self._tagging(replace(choices, pretend=True))
        tagging.quiet = True
        for item, advice in tagging.tag(items):
            ui.print_(explained(item.get_fresh_from_db(), advice))

    def _undo(self, lib: Library, items: list[Item], choices: Choices) -> None:
        from .undo_run import Undoing

        given, refused = Undoing(self._lazy, self._write_journal, self._log, choices).undo(lib, items)
        given_back = "would be given back" if choices.pretend else "given back"
        self._log.info("{} {}, {} left alone", _items(given), given_back, refused)

    def _tagging(self, choices: Choices, *, quiet: bool = False) -> Tagging:
        from dataclasses import replace

        from .tagging import Tagging

        session = self._lazy.session()
        choices = replace(choices, count=session.settings.tagging.max_genres)
        namer = options.namer(self.config, session)
        return Tagging(self._lazy, self._write_journal, self._log, choices, namer, quiet=quiet)

    def _in_words(self, error: GenrifyError | UserError | OSError, about: bytes = b"") -> str:
        return options.in_words(self.config, error, about)

    # --- the importer ---

    def imported(self, session: ImportSession, task: ImportTask) -> None:
        """Give imported items a genre, before beets moves and writes them; an import is never aborted."""
        try:
            if self._import is None:
                self._import = self._tagging(options.import_choices(self.config), quiet=True)
            items = task.imported_items()
            for item in items:
                for former in task.replaced_items[item]:
                    flexattrs.carry_over(item, former)
            for item, advice in self._import.tag(items):
                self._heard[item.id] = advice
            if task.is_album and any(flexattrs.claimed(item) for item in items):
                if former_album := task.replaced_albums.get(task.album.path):
                    albums.carry_over(task.album, former_album, items)
                self._import.settle_album(task.album, {})
        except (GenrifyError, UserError) as error:
            self._import_goes_on(self._in_words(error))
        except Exception as error:  # noqa: BLE001
            # Whatever is wrong with us, the user's import goes on.
            self._import_goes_on(f"{type(error).__name__}: {error}")
            self._log.debug("", exc_info=True)

    def _import_goes_on(self, complaint: str) -> None:
        """Say why songs were not listened to, but not for album after album."""
        if complaint != self._complaint:
            self._log.error("imported without listening: {}", complaint)
        self._complaint = complaint

    def files_are_in_place(self, session: ImportSession, task: ImportTask) -> None:
        """Remember imported files where they are now, and keep beets from reading them again for no reason."""
        for item in task.imported_items():
            advice = self._heard.pop(item.id, None)
            if advice is None or self._import is None:
                continue
            try:
                self._put_in_step(item, advice)
            except (GenrifyError, OSError) as error:
                self._log.warning("{}: {}", displayable_path(item.path), self._in_words(error, item.path))

    def _put_in_step(self, item: Item, advice: Suggestion) -> None:
        assert self._import is not None
        was_tagged = advice.result.status == "tagged"
        written = was_tagged and self._write_journal.has_written(item)
        if was_tagged and not written:  # imported as it is: the genre is in the library only
            item["mtime"] = item.current_mtime()
            item.store()
        self._import.remember(item, advice, written=written)

    # --- the end ---

    def beets_ends(self, lib: Library) -> None:
        """Close the session."""
        self._write_journal.settle_all()
        self._lazy.close()


def _items(number: int) -> str:
    return f"{number:,} item{'' if number == 1 else 's'}"


def _summary(counts: Summary, *, pretend: bool) -> str:
    told = {"tagged": "would be tagged"} if pretend else {}
    return ", ".join(f"{counts[status]} {told.get(status, status)}" for status in counts)
