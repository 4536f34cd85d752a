"""Analyse items of beets' library, set their genres and attributes, and have beets write and store them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from beets import ui
from beets.util import displayable_path

from . import albums, flexattrs
from .library_genres import LibraryGenres
from .progress_line import ProgressLine

if TYPE_CHECKING:
    from beets.library import Album, Item
    from beets.logging import BeetsLogger

    from genrify_tagger.genre_rules import GenreRules
    from genrify_tagger.pipeline import Summary
    from genrify_tagger.pipeline.file_task import Outcome

    from .lazy_session import LazySession
    from .options import RunOptions
    from .write_journal import WriteJournal


@dataclass
class ItemTagger:
    """Tags items in one run of the command, or one import.

    Attributes
    ----------
    lazy_session : LazySession
        Provides the session and the run.
    write_journal : WriteJournal
        Journals the files that beets writes.
    log : BeetsLogger
        The plugin's log.
    run_options : RunOptions
        Options of the run.
    genre_rules : GenreRules
        Map labels to genre names.
    quiet : bool
        Whether changes are logged in one line instead of shown; so it is during an import.
    counts : Summary
        Number of items by status.
    """

    lazy_session: LazySession
    write_journal: WriteJournal
    log: BeetsLogger
    run_options: RunOptions
    genre_rules: GenreRules
    quiet: bool = False
    counts: Summary = field(init=False)

    def __post_init__(self) -> None:
        from genrify_tagger.pipeline import Summary

        self.counts = Summary()

    def tag(self, items: Sequence[Item]) -> Generator[tuple[Item, Outcome]]:
        """Analyse, tag, write and store items; yield each with its suggestion, "failed" if the file cannot be written.

        Raises
        ------
        GenrifyError
            If the database cannot be used, or the run was interrupted.
        """
        with ProgressLine(0 if self.quiet else len(items)) as line, closing(self._suggestions(items)) as suggestions:
            for item, suggestion in suggestions:
                line.advance()
                yield item, self._process_suggestion(item, suggestion, line.hidden)

    def _suggestions(self, items: Sequence[Item]) -> Generator[tuple[Item, Outcome]]:
        from genrify_tagger.files import real_path
        from genrify_tagger.pipeline import ScanOptions
        from genrify_tagger.pipeline.analyse_file import titles_from_tags
        from genrify_tagger.pipeline.external_files import ExternalFile, suggest

        genres = self._library_genres(items)

        def external_file(item: Item) -> ExternalFile:
            path = os.fsdecode(item.path)
            titles = titles_from_tags(flexattrs.titles_of(item), path)
            return ExternalFile(
                path=path,
                present=tuple(flexattrs.genres_of(item)),
                provenance=flexattrs.item_provenance(item),
                titles=titles,
                others=genres.others(titles, real_path(path)) if genres else (),
            )

        songs = map(external_file, items)
        options = ScanOptions(force=self.run_options.force)
        with closing(suggest(self.lazy_session.session(), songs, options, rename=self.genre_rules)) as suggestions:
            yield from zip(items, suggestions, strict=True)

    def _library_genres(self, items: Sequence[Item]) -> LibraryGenres | None:
        """Return the genres in beets' library, if they matter: to a vocabulary learned from the library."""
        library = items[0]._db if items else None
        is_learned = self.lazy_session.session().active.learned is not None
        return LibraryGenres(library, items) if library is not None and is_learned else None

    def _process_suggestion(
        self, item: Item, suggestion: Outcome, line_hidden: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> Outcome:
        suggestion = self._refuse_unwritable(item, suggestion)
        former_mtime = item.mtime
        is_new = flexattrs.set_analysis(item, suggestion)
        if suggestion.result.status == "tagged":
            run = 0 if self.run_options.pretend else self.lazy_session.run()
            flexattrs.set_genres(item, suggestion.result.after, run)
        self._show(item, suggestion, line_hidden)
        if not self.run_options.pretend:
            self.write_journal.remember_audio_key(item, suggestion.audio_key)
            suggestion = self._write_and_store(item, suggestion, former_mtime, is_new=is_new)
            self.lazy_session.count(suggestion.result)
        self.counts.add(suggestion.result)
        return suggestion

    def _refuse_unwritable(self, item: Item, suggestion: Outcome) -> Outcome:
        """Return the suggestion, failed if beets could not write the file; the same in a dry run."""
        from genrify_tagger.pipeline.external_writes import external_write_refusal

        if suggestion.result.status != "tagged" or not self.run_options.write:
            return suggestion
        refusal = external_write_refusal(os.fsdecode(item.path), suggestion.identity)
        return _as_failed(suggestion, f"cannot be written: {refusal}") if refusal else suggestion

    def _show(
        self, item: Item, suggestion: Outcome, line_hidden: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        result = suggestion.result
        self.log.debug("{}: {} {}", displayable_path(item.path), result.status, result.reason or "")
        if self.run_options.explain:
            return
        if result.status == "failed":
            with line_hidden():
                what = "" if result.model else "not analysed: "
                self.log.warning("{}: {}{}", displayable_path(item.path), what, result.error)
        elif self.quiet:
            if result.status == "tagged":
                named = ", ".join(result.after)
                self.log.info("{}: {} ({:.2f})", displayable_path(item.path), named, result.confidence)
        elif result.status == "tagged":
            with line_hidden():
                ui.show_model_changes(item, fields=["genres", flexattrs.CONFIDENCE])

    def _write_and_store(self, item: Item, suggestion: Outcome, former_mtime: float, *, is_new: bool) -> Outcome:
        """Have beets write and store an item, and store the state of its file; return what became of it."""
        from genrify_tagger.pipeline.journalled_write import uninterrupted

        is_tagged = suggestion.result.status == "tagged"
        written = False
        with uninterrupted():
            if is_tagged and self.run_options.write:
                written = self.write_journal.write(item)
                if not written:
                    return self._store_as_failed(item, suggestion)
            else:
                in_step = is_tagged and not self.quiet
                item["mtime"] = flexattrs.mtime_to_keep(item, former_mtime) if in_step else former_mtime
            if is_tagged or is_new:
                item.store()
        if not self.quiet and not suggestion.result.passing:
            self.record_state(item, suggestion, written=written)
        return suggestion

    def _store_as_failed(self, item: Item, suggestion: Outcome) -> Outcome:
        """Leave an item that beets failed to write as it was, except for the attributes of the analysis."""
        failed = _as_failed(suggestion, "beets could not write it")
        item = item.get_fresh_from_db()
        flexattrs.set_analysis(item, failed)
        item.store()
        return failed

    def record_state(self, item: Item, suggestion: Outcome, *, written: bool) -> None:
        """Store the state of an item's file at its current path in Genrify Tagger's database."""
        from genrify_tagger.pipeline.analyse_file import titles_from_tags
        from genrify_tagger.pipeline.external_files import remember_external

        path = os.fsdecode(item.path)
        titles = titles_from_tags(flexattrs.titles_of(item), path)
        remember_external(self.lazy_session.session(), path, suggestion, written=written, titles=titles)

    def set_album_genre(self, album: Album, changed: Mapping[int | None, Item]) -> None:
        """Set the album's genre from its tracks'; `changed` are items by id that were changed but not stored."""
        if not self.run_options.album_genre:
            return
        items = [changed.get(item.id, item) for item in album.items()]
        junk = self.lazy_session.session().settings.tagging.treat_as_missing
        albums.set_album_genre(album, items, self.run_options, junk, show=not self.quiet)


def _as_failed(suggestion: Outcome, error: str) -> Outcome:
    result = replace(suggestion.result, status="failed", error=error, after=suggestion.result.before, passing=True)
    return replace(suggestion, result=result)


def format_explanation(item: Item, suggestion: Outcome) -> str:
    """Return the text of `--explain` for an item: its scores, the decision and the change."""
    from genrify_tagger.pipeline import describe_nodes
    from genrify_tagger.pipeline.library_evidence import explanation

    result = suggestion.result
    lines = [format(item)]
    if result.error:
        return f"{lines[0]}\n  {result.error}"
    if result.model:
        lines.append(f"  scores: {flexattrs.format_scores(result)}")
        named = ", ".join(result.genres) or "unsure"
        lines.append(
            f"  decision: {named} (confidence {result.confidence:.2f}; {result.vocabulary}, model {result.model})"
        )
        if result.nodes:
            lines.append(f"  genre tree: {describe_nodes(result.nodes, result.genres)}")
    if result.evidence:
        outcome = "sure enough" if result.genres else "not sure enough"
        why = explanation(result.evidence, result.confidence or 0.0, outcome=outcome)
        lines.append(f"  evidence: {why}")
    change = f" to {', '.join(result.after)}" if result.status == "tagged" else ""
    lines.append(
        f"  genres: {', '.join(result.before) or '(none)'}: {_outcome_text(result.status)}{change}{_why(result.reason)}"
    )
    return "\n".join(lines)


def _outcome_text(status: str) -> str:
    return {"tagged": "would change", "kept": "kept", "unsure": "left empty", "skipped": "left alone"}[status]


def _why(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
