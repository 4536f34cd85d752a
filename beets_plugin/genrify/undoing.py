"""Take the plugin's last run back, through beets: item by item, and never over somebody else's change."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from beets import ui
from beets.exceptions import UserError

from genrify_tagger.errors import GenrifyError

from . import albums, marks

if TYPE_CHECKING:
    from beets.library import Item, Library
    from beets.logging import BeetsLogger

    from .house import House
    from .options import Choices
    from .writing import Scribe


class ChangedSinceError(GenrifyError):
    """Somebody changed the genre since, so it is left alone."""


@dataclass
class Undoing:
    """One call of `beet genrify --undo`; the attributes are those of `Tagging`."""

    house: House
    scribe: Scribe
    log: BeetsLogger
    choices: Choices

    def undo(self, lib: Library, query: Sequence[str]) -> tuple[int, int]:
        """Take the last run back, or what of it a query names; return how many items were given back and refused."""
        run = last_run(lib)
        items = list(lib.items([*query, f"{marks.RUN}:{run}"])) if run else []
        if not items:
            raise UserError("nothing was done there that could be taken back")
        given = 0
        touched: set[int] = set()
        for item in items:
            try:
                self._give_back(item)
            except (GenrifyError, OSError) as error:
                self.log.warning("{.filepath}: left alone: {}", item, error)
                continue
            given += 1
            if item.album_id is not None:
                touched.add(item.album_id)
        for album_id in sorted(touched):
            album = lib.get_album(album_id)
            if album is not None:
                albums.give_back(album, run, pretend=self.choices.pretend)
        return given, len(items) - given

    def _give_back(self, item: Item) -> None:
        change = self._written(item)
        if marks.claimed(item) != marks.genres_of(item):
            raise ChangedSinceError("its genre was changed in the library since")
        former_mtime = item.mtime
        marks.give_back(item)
        ui.show_model_changes(item, fields=["genres"])
        if self.choices.pretend:
            return
        written = False
        if change is not None and self.choices.write:
            with self.scribe.undoing(item, change):
                written = item.try_write()
            self.scribe.settle(item.path)
        if not written:
            item["mtime"] = marks.mtime_in_step(item, former_mtime)
        item.store()

    def _written(self, item: Item) -> int | None:
        """Return the change by which beets wrote our genre into the file; None if it never did."""
        from genrify_tagger.pipeline import Past, last_word

        change, past = last_word(self.house.session(), os.fsdecode(item.path))
        if change is None or change.origin != "beets" or change.undone_by is not None:
            return None
        if past is not Past.OURS:
            raise ChangedSinceError("the genre in the file was changed since")
        return change.id


def last_run(lib: Library) -> int:
    """Return the newest run of which an item is still marked; 0 if there is none."""
    return max((marks.own(item, marks.RUN) for item in lib.items(f"{marks.RUN}:1..")), default=0)
