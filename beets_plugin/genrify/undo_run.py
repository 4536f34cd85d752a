"""Take the plugin's last run back, through beets: item by item, and never over somebody else's change."""

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
    from .options import Choices
    from .write_journal import WriteJournal


class ChangedSinceError(GenrifyError):
    """Somebody changed the genre since, so it is left alone."""


@dataclass
class Undoing:
    """One call of `beet genrify --undo`; the attributes are those of `Tagging`."""

    lazy: LazySession
    write_journal: WriteJournal
    log: BeetsLogger
    choices: Choices

    def undo(self, lib: Library, named: Sequence[Item]) -> tuple[int, int]:
        """Take the last run back as far as it is about the items named; return how many were given back and refused."""
        tagging = self.lazy.session().settings.tagging
        run = last_run(lib)
        items = [item for item in named if run and flexattrs.own(item, flexattrs.RUN) == run]
        if not items:
            raise UserError("nothing was done there that could be taken back")
        given: dict[int | None, Item] = {}
        touched: set[int] = set()
        for item in items:
            try:
                self._give_back(item)
            except (GenrifyError, OSError) as error:
                self.log.warning(
                    "{}: left alone: {}", displayable_path(item.path), self.write_journal.in_words(error, item.path)
                )
                continue
            given[item.id] = item
            if item.album_id is not None:
                touched.add(item.album_id)
        choices = replace(self.choices, count=tagging.max_genres)
        for album_id in sorted(touched):
            album = lib.get_album(album_id)
            if album is not None:
                left = [given.get(item.id, item) for item in album.items()]
                albums.give_back(album, left, choices, tagging.treat_as_missing)
        return len(given), len(items) - len(given)

    def _give_back(self, item: Item) -> None:
        from genrify_tagger.pipeline import undisturbed

        is_written, change = self._written(item)
        if flexattrs.claimed(item) != flexattrs.genres_of(item):
            raise ChangedSinceError("its genre was changed in the library since")
        former_mtime = item.mtime
        flexattrs.give_back(item)
        ui.show_model_changes(item, fields=["genres"])
        if self.choices.pretend:
            return
        with undisturbed():
            written = False
            if is_written and self.choices.write:
                with self.write_journal.undoing(item, change):
                    written = self.write_journal.write(item)
            if not written:
                item["mtime"] = flexattrs.mtime_in_step(item, former_mtime)
            item.store()

    def _written(self, item: Item) -> tuple[bool, int | None]:
        """Tell whether beets wrote our genre into the file, and by which change, if that is known."""
        from genrify_tagger.pipeline import Provenance, latest_change, standing_change

        change, past = latest_change(self.lazy.session(), os.fsdecode(item.path))
        if change is None or change.undone_by is not None or change.origin not in ("beets", "undo"):
            return False, None
        if change.origin == "undo" and list(change.after_genres or ()) != flexattrs.claimed(item):
            return False, None
        if past not in (Provenance.OURS, Provenance.UNDONE):
            raise ChangedSinceError("the genre in the file was changed since")
        standing = standing_change(self.lazy.session(), change)
        return True, standing.id if standing is not None and standing.origin == "beets" else None


def last_run(lib: Library) -> int:
    """Return the newest run that gave an item the genre which it still has; 0 if there is none."""
    ours = (item for item in lib.items(f"{flexattrs.RUN}:1..") if flexattrs.is_ours(item))
    return max((flexattrs.own(item, flexattrs.RUN) for item in ours), default=0)
