"""Undo the plugin's last run through beets, item by item; genres that were changed since are left alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from beets import ui
from beets.ui import UserError  # type: ignore[attr-defined] # beets.exceptions came after 2.7
from beets.util import displayable_path

from genrify_tagger.errors import GenrifyError

from . import albums, flexattrs

if TYPE_CHECKING:
    from beets.library import Item, Library
    from beets.logging import BeetsLogger

    from .lazy_session import LazySession
    from .options import RunOptions
    from .write_journal import WriteJournal


class ChangedSinceError(GenrifyError):
    """The genre was changed after the run, so it is left alone."""


class UnwrittenError(GenrifyError):
    """Beets could not write the file, so its item is left alone, too."""


@dataclass
class RunUndo:
    """One run of `beet genrify --undo`; the attributes are those of `ItemTagger`."""

    lazy_session: LazySession
    write_journal: WriteJournal
    log: BeetsLogger
    run_options: RunOptions

    def undo(self, lib: Library, selected: Sequence[Item]) -> tuple[int, int]:
        """Undo the last run for the selected items; return the number of items restored and refused."""
        tagging = self.lazy_session.session().settings.tagging
        run = last_run(lib)
        items = [item for item in selected if run and flexattrs.item_attr(item, flexattrs.RUN) == run]
        if not items:
            raise UserError("nothing to undo for these items")
        restored: dict[int | None, Item] = {}
        touched: set[int] = set()
        for item in items:
            try:
                self._restore(item)
            except (GenrifyError, OSError) as error:
                self.log.warning(
                    "{}: left alone: {}",
                    displayable_path(item.path),
                    self.write_journal.describe_error(error, item.path),
                )
                continue
            restored[item.id] = item
            if item.album_id is not None:
                touched.add(item.album_id)
        run_options = replace(self.run_options, count=tagging.max_genres)
        for album_id in sorted(touched):
            album = lib.get_album(album_id)
            if album is not None:
                album_items = [restored.get(item.id, item) for item in album.items()]
                albums.restore_album_genre(album, album_items, run_options, tagging.treat_as_missing)
        return len(restored), len(items) - len(restored)

    def _restore(self, item: Item) -> None:
        from genrify_tagger.pipeline.external_writes import external_write_refusal
        from genrify_tagger.pipeline.journalled_write import uninterrupted

        is_written, change = self._find_write(item)
        if flexattrs.genres_given(item) != flexattrs.genres_of(item):
            raise ChangedSinceError("its genre was changed in the library since")
        must_write = is_written and self.run_options.write
        if must_write and (refusal := external_write_refusal(os.fsdecode(item.path))):
            raise refusal
        former_mtime = item.mtime
        flexattrs.restore_genres(item)
        ui.show_model_changes(item, fields=["genres"])
        if self.run_options.pretend:
            return
        with uninterrupted():
            if must_write:
                with self.write_journal.as_undo(item, change):
                    if not self.write_journal.write(item):
                        raise UnwrittenError("beets could not write it")
            else:
                item["mtime"] = flexattrs.mtime_to_keep(item, former_mtime)
            item.store()

    def _find_write(self, item: Item) -> tuple[bool, int | None]:
        """Return whether beets wrote the plugin's genre into the file, and by which change, if known."""
        from genrify_tagger.pipeline.external_writes import latest_change, standing_change
        from genrify_tagger.pipeline.write_policy import Provenance

        change, provenance = latest_change(self.lazy_session.session(), os.fsdecode(item.path))
        if change is None or change.undone_by is not None or change.origin not in ("beets", "undo"):
            return False, None
        if change.origin == "undo" and list(change.after_genres or ()) != flexattrs.genres_given(item):
            return False, None
        if provenance not in (Provenance.WRITTEN_BY_PROGRAM, Provenance.UNDONE):
            raise ChangedSinceError("the genre in the file was changed since")
        standing = standing_change(self.lazy_session.session(), change)
        return True, standing.id if standing is not None and standing.origin == "beets" else None


def last_run(lib: Library) -> int:
    """Return the newest run whose genre an item still has; 0 if there is none."""
    items = [item for item in lib.items(f"{flexattrs.RUN}:1..") if flexattrs.has_given_genre(item)]
    return max((flexattrs.item_attr(item, flexattrs.RUN) for item in items), default=0)
