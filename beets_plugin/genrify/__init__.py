"""`beet genrify`: genres from the audio itself, for music libraries managed by beets.

Files are analysed by Genrify Tagger's pipeline, which shares its database with `genrify-tag`; beets writes the tags.
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

    from genrify_tagger.pipeline import Summary
    from genrify_tagger.pipeline.file_task import Outcome

    from .item_tagger import ItemTagger
    from .options import RunOptions


class GenrifyPlugin(plugins.BeetsPlugin):
    """Registers the command, the import stage, the flexible attributes and the event listeners."""

    item_types = flexattrs.ITEM_TYPES
    album_types = flexattrs.ALBUM_TYPES

    def __init__(self) -> None:
        super().__init__("genrify")
        options.repair_blocks(self._log)
        self.config.add(dict(options.DEFAULTS))
        self._explain = self._undoes = False
        self._command: ui.Subcommand | None = None
        self._lazy_session = LazySession(lambda: options.load(self.config, explain=self._explain), self._command_name)
        self._write_journal = WriteJournal(self._lazy_session, self._log, self._describe_error)
        self._suggestions: dict[int | None, Outcome] = {}
        self._import_tagger: ItemTagger | None = None
        self._last_import_error = ""
        if options.is_auto(self.config, self._log):
            self.import_stages = [self.import_stage]
        self.register_listener("pluginload", self.pluginload)
        self.register_listener("import_task_files", self.import_task_files)
        self.register_listener("write", self._write_journal.before_write)
        self.register_listener("after_write", self._write_journal.after_write)
        self.register_listener("cli_exit", self.cli_exit)
        atexit.register(self._lazy_session.close, interrupted=True)

    def pluginload(self) -> None:
        """Warn about unknown settings; run after lastgenre, and before convert makes the copies that it keeps."""
        for warning in options.unknown_keys(self.config):
            self._log.warning("{}", warning)
        found = plugins.find_plugins()
        names = [plugin.name for plugin in found]
        if not isinstance(found, list):
            return
        if "lastgenre" in names[names.index(self.name) :]:
            found.remove(self)
            found.insert(names.index("lastgenre"), self)
        elif "lastgenre" not in names and options.convert_keeps_copies(names):
            self.early_import_stages, self.import_stages = self.import_stages, []
            found.remove(self)
            found.insert(0, self)

    # --- the command ---

    def commands(self) -> list[ui.Subcommand]:
        """Return the `genrify` command."""
        if self._command is None:
            self._command = ui.Subcommand("genrify", help="tag genres by analysing the audio")
            options.add_options(self._command)
            self._command.func = self.run
        return [self._command]

    def _command_name(self) -> str:
        """Return the beets command that is running, as the journal names it."""
        parser = self._command.root_parser if self._command else None
        name = options.subcommand(parser, sys.argv[1:])
        return " ".join(["beet", *([name] if name else []), *(["--undo"] if self._undoes else [])])

    def run(self, lib: Library, opts: optparse.Values, query: list[str]) -> None:
        """Run `beet genrify`."""
        self.config.set_args(vars(opts))
        run_options = options.run_options(self.config, opts)
        self._undoes = run_options.undo
        self._explain = run_options.explain
        ended = False
        try:
            self._run_command(lib, run_options, list(query), by_album=opts.album)
            ended = True
        except GenrifyError as error:
            raise UserError(self._describe_error(error)) from error
        except KeyboardInterrupt:
            changes_nothing = run_options.pretend or run_options.explain
            kept = "analyses so far are kept" if changes_nothing else "all changes so far are kept"
            self._log.info("interrupted; {}. Run the same command again to continue", kept)
            raise
        finally:
            self._write_journal.finish_pending()
            self._lazy_session.close(interrupted=not ended)

    def _run_command(self, lib: Library, run_options: RunOptions, query: list[str], *, by_album: bool) -> None:
        items = [item for album in lib.albums(query) for item in album.items()] if by_album else list(lib.items(query))
        if not items:
            raise UserError("no matching items")
        if run_options.undo:
            self._undo(lib, items, run_options)
        elif run_options.explain:
            self._explain_items(items, run_options)
        else:
            self._tag(lib, items, run_options)

    def _tag(self, lib: Library, items: list[Item], run_options: RunOptions) -> None:
        tagger = self._item_tagger(run_options)
        changed = {item.id: item for item, suggestion in tagger.tag(items) if suggestion.result.status == "tagged"}
        for album_id in sorted({item.album_id for item in changed.values() if item.album_id}):
            album = lib.get_album(album_id)
            if album is not None:
                tagger.set_album_genre(album, changed if run_options.pretend else {})
        self._log.info("{}: {}", _items(len(items)), _summary(tagger.counts, pretend=run_options.pretend))
        if changed and not run_options.pretend:
            self._log.info("to undo: beet genrify --undo")

    def _explain_items(self, items: list[Item], run_options: RunOptions) -> None:
        from dataclasses import replace

        from .item_tagger import format_explanation

        tagger = self._item_tagger(replace(run_options, pretend=True))
        tagger.quiet = True
        for item, suggestion in tagger.tag(items):
            ui.print_(format_explanation(item.get_fresh_from_db(), suggestion))

    def _undo(self, lib: Library, items: list[Item], run_options: RunOptions) -> None:
        from .undo_run import RunUndo

        restored, refused = RunUndo(self._lazy_session, self._write_journal, self._log, run_options).undo(lib, items)
        restored_text = "would be restored" if run_options.pretend else "restored"
        self._log.info("{} {}, {} left alone", _items(restored), restored_text, refused)

    def _item_tagger(self, run_options: RunOptions, *, quiet: bool = False) -> ItemTagger:
        from dataclasses import replace

        from .item_tagger import ItemTagger

        session = self._lazy_session.session()
        run_options = replace(run_options, count=session.settings.tagging.max_genres)
        genre_rules = options.load_genre_rules(self.config, session)
        return ItemTagger(self._lazy_session, self._write_journal, self._log, run_options, genre_rules, quiet=quiet)

    def _describe_error(self, error: GenrifyError | UserError | OSError, about: bytes = b"") -> str:
        return options.describe_error(self.config, error, about)

    # --- the importer ---

    def import_stage(self, session: ImportSession, task: ImportTask) -> None:
        """Set the genre of imported items before beets moves and writes them; an import is never aborted."""
        try:
            if self._import_tagger is None:
                self._import_tagger = self._item_tagger(options.import_run_options(self.config), quiet=True)
            items = task.imported_items()
            for item in items:
                for former in task.replaced_items[item]:
                    flexattrs.reset_if_genre_lost(item, former)
            for item, suggestion in self._import_tagger.tag(items):
                self._suggestions[item.id] = suggestion
            if task.is_album and any(flexattrs.genres_given(item) for item in items):
                if former_album := task.replaced_albums.get(task.album.path):
                    albums.keep_album_genre(task.album, former_album, items)
                self._import_tagger.set_album_genre(task.album, {})
        except (GenrifyError, UserError) as error:
            self._report_import_error(self._describe_error(error))
        except Exception as error:  # noqa: BLE001
            # Whatever fails here, the user's import continues.
            self._report_import_error(f"{type(error).__name__}: {error}")
            self._log.debug("", exc_info=True)

    def _report_import_error(self, message: str) -> None:
        """Log why items were not analysed, once and not for every album."""
        if message != self._last_import_error:
            self._log.error("imported without analysis: {}", message)
        self._last_import_error = message

    def import_task_files(self, session: ImportSession, task: ImportTask) -> None:
        """Store the state of imported files at their final path, and keep `beet update` from reading them again."""
        for item in task.imported_items():
            suggestion = self._suggestions.pop(item.id, None)
            if suggestion is None or self._import_tagger is None:
                continue
            try:
                self._record_imported(item, suggestion)
            except (GenrifyError, OSError) as error:
                self._log.warning("{}: {}", displayable_path(item.path), self._describe_error(error, item.path))

    def _record_imported(self, item: Item, suggestion: Outcome) -> None:
        assert self._import_tagger is not None
        was_tagged = suggestion.result.status == "tagged"
        written = was_tagged and self._write_journal.has_written(item)
        if was_tagged and not written:  # imported "as is": the genre is in the library only
            item["mtime"] = item.current_mtime()
            item.store()
        self._import_tagger.record_state(item, suggestion, written=written)

    # --- the end ---

    def cli_exit(self, lib: Library) -> None:
        """Finish pending journal entries and close the session when beets ends."""
        self._write_journal.finish_pending()
        self._lazy_session.close()


def _items(number: int) -> str:
    return f"{number:,} item{'' if number == 1 else 's'}"


def _summary(counts: Summary, *, pretend: bool) -> str:
    names = {"tagged": "would be tagged"} if pretend else {}
    return ", ".join(f"{counts[status]} {names.get(status, status)}" for status in counts)
