"""Listen to items of beets' library, and let beets have what was heard."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beets import ui
from beets.util import displayable_path

from . import albums, flexattrs
from .progress_line import Line

if TYPE_CHECKING:
    from beets.library import Album, Item
    from beets.logging import BeetsLogger

    from genrify_tagger.pipeline import Suggestion, Summary

    from .genre_rules import Namer
    from .lazy_session import LazySession
    from .options import Choices
    from .write_journal import WriteJournal


@dataclass
class Tagging:
    """One call of the command, or one task of an import.

    Attributes
    ----------
    lazy : House
        For session and run.
    write_journal : Scribe
        Journals what beets writes.
    log : BeetsLogger
        For words to people.
    choices : Choices
        What is to be done.
    namer : Namer
        Makes names of labels.
    quiet : bool
        Whether changes are shown; an import does not show them.
    counts : Summary
        How many items came out with which status.
    """

    lazy: LazySession
    write_journal: WriteJournal
    log: BeetsLogger
    choices: Choices
    namer: Namer
    quiet: bool = False
    counts: Summary = field(init=False)

    def __post_init__(self) -> None:
        from genrify_tagger.pipeline import Summary

        self.counts = Summary()

    def tag(self, items: Sequence[Item]) -> Generator[tuple[Item, Suggestion]]:
        """Take items the whole way, and tell of each.

        Raises
        ------
        GenrifyError
            If the database cannot be used, or the work was interrupted.
        """
        with Line(0 if self.quiet else len(items)) as line, closing(self._advice(items)) as advice:
            for item, one in advice:
                self._take(item, one, line.aside)
                line.advance()
                yield item, one

    def _advice(self, items: Sequence[Item]) -> Generator[tuple[Item, Suggestion]]:
        from genrify_tagger.pipeline import ExternalFile, ScanOptions, suggest

        songs = (
            ExternalFile(
                path=os.fsdecode(item.path), present=tuple(flexattrs.genres_of(item)), past=flexattrs.past_of(item)
            )
            for item in items
        )
        options = ScanOptions(dry_run=self.choices.pretend, force=self.choices.force)
        with closing(suggest(self.lazy.session(), songs, options, rename=self.namer)) as advice:
            yield from zip(items, advice, strict=True)

    def _take(
        self, item: Item, advice: Suggestion, aside: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        result = advice.result
        self.counts.add(result)
        if result.status == "failed" and not self.choices.explain:
            with aside():
                self.log.warning("{}: not listened to: {}", displayable_path(item.path), result.error)
        former_mtime = item.mtime
        is_new = flexattrs.tell(item, advice)
        is_tagged = result.status == "tagged"
        if is_tagged:
            flexattrs.claim(item, result.after, 0 if self.choices.pretend else self.lazy.run())
        self._show(item, advice, aside)
        if not self.choices.pretend:
            self.lazy.count(result)
            self.write_journal.know(item, advice.audio_key)
            self._keep(item, advice, former_mtime, is_tagged=is_tagged, is_new=is_new)

    def _show(
        self, item: Item, advice: Suggestion, aside: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        result = advice.result
        self.log.debug("{}: {} {}", displayable_path(item.path), result.status, result.reason or "")
        if self.choices.explain:
            return
        if self.quiet:
            if result.status == "tagged":
                named = ", ".join(result.after)
                self.log.info("{}: {} ({:.2f})", displayable_path(item.path), named, result.confidence)
        elif result.status == "tagged":
            with aside():
                ui.show_model_changes(item, fields=["genres", flexattrs.CONFIDENCE])

    def _keep(self, item: Item, advice: Suggestion, former_mtime: float, *, is_tagged: bool, is_new: bool) -> None:
        """Have beets write and store an item, and remember the file as it is then."""
        from genrify_tagger.pipeline import undisturbed

        with undisturbed():
            written = is_tagged and self.choices.write and self.write_journal.write(item)
            if not written:
                in_step = is_tagged and not self.quiet
                item["mtime"] = flexattrs.mtime_in_step(item, former_mtime) if in_step else former_mtime
            if is_tagged or is_new:
                item.store()
        if not self.quiet:
            self.remember(item, advice, written=written)

    def remember(self, item: Item, advice: Suggestion, *, written: bool) -> None:
        """Have Genrify Tagger remember a file where it is now."""
        from genrify_tagger.pipeline import record_suggestion

        record_suggestion(self.lazy.session(), os.fsdecode(item.path), advice, written=written)

    def settle_album(self, album: Album, changed: Mapping[int | None, Item]) -> None:
        """Give an album its tracks' genre; `changed` are items that the library does not have like this yet."""
        if not self.choices.album_genre:
            return
        items = [changed.get(item.id, item) for item in album.items()]
        junk = self.lazy.session().settings.tagging.treat_as_missing
        albums.settle(album, items, self.choices, junk, show=not self.quiet)


def explained(item: Item, advice: Suggestion) -> str:
    """Return in words what was heard in an item and what follows from it."""
    result = advice.result
    lines = [format(item)]
    if result.error:
        return f"{lines[0]}\n  {result.error}"
    if result.model:
        lines.append(f"  heard: {flexattrs.scores_in_words(result)}")
        named = ", ".join(result.genres) or "unsure"
        lines.append(f"  so: {named} (confidence {result.confidence:.2f}; {result.vocabulary}, model {result.model})")
    change = f" to {', '.join(result.after)}" if result.status == "tagged" else ""
    lines.append(
        f"  genres: {', '.join(result.before) or '(none)'}: {_wording(result.status)}{change}{_why(result.reason)}"
    )
    return "\n".join(lines)


def _wording(status: str) -> str:
    return {"tagged": "would change", "kept": "kept", "unsure": "left empty", "skipped": "left alone"}[status]


def _why(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
