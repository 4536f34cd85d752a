"""Results as text: one line per file, a summary, the commands to try next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from genrify_tagger.files import counted, display_path, printable
from genrify_tagger.pipeline import STATUSES, Result, Summary
from genrify_tagger.pipeline.results import FORCE_HINT

STYLES = {
    "tagged": "bold green",
    "kept": "cyan",
    "unsure": "yellow",
    "unchanged": "dim",
    "skipped": "dim",
    "failed": "bold red",
}
QUIET_STATUSES = frozenset({"kept", "unchanged"})  # nothing happened: shown with --verbose only


def line(result: Result) -> Text:
    """Format a result as one line: status, genre and confidence, path, reason."""
    text = Text()
    text.append(f"{result.status:<9} ", style=STYLES[result.status])
    text.append(f"{printable(_genres(result)):<22} ")
    text.append(display_path(result.path))
    note = result.error or result.reason
    if note:
        text.append(f"  ({printable(note)})", style="dim")
    return text


def change_line(result: Result) -> Text:
    """Format a change as one line: path, genres before and after, or why they stay."""
    failed = result.status == "failed"
    text = Text()
    text.append(
        f"{'failed' if failed else 'changed' if result.status == 'tagged' else 'same':<8} ", STYLES[result.status]
    )
    text.append(display_path(result.path))
    if failed:
        text.append(f"  ({printable(result.error or '')})", style="dim")
    elif result.status == "tagged":
        text.append(f"  {_names(result.before)} -> {_names(result.after)}")
    else:
        text.append(f"  {_names(result.after)}")
        if result.reason:
            text.append(f"  ({printable(result.reason)})", style="dim")
    return text


def _names(genres: Sequence[str]) -> str:
    return printable(", ".join(genres)) or "(none)"


def summary(counts: Summary, *, seconds: float, analysed: int, dry_run: bool) -> str:
    """Return the closing line: files by status, time taken and speed."""
    parts = [f"{counts[status]:,} {status}" for status in STATUSES if counts[status]]
    files = counted(counts.total(), "file")
    pace = f", {analysed / seconds:.1f} tracks/s analysed" if analysed and seconds > 0 else ""
    text = f"{files} in {duration(seconds)}{pace}: {', '.join(parts) or 'no audio files found'}."
    return f"{text} Dry run: nothing was written." if dry_run else text


def genre_lines(written: Mapping[tuple[str, ...], int], guessed: Mapping[str, int], *, dry_run: bool) -> Iterator[str]:
    """Say which genres were written how often, children below their top genre, and what unsure files are likeliest.

    Parameters
    ----------
    written : mapping of tuple of str to int
        Files by path in the genre tree; in a vocabulary without one, by genre.
    guessed : mapping of str to int
        Unsure files by likeliest genre.
    """
    tops = Counter[str]()
    for path, files in written.items():
        tops[path[0]] += files
    parts = []
    for top, files in tops.most_common():
        children = [f"{path[-1]} {number:,}" for path, number in written.items() if path[0] == top and len(path) > 1]
        parts.append(f"{top} {files:,}" + (f" (of these {', '.join(sorted(children))})" if children else ""))
    if parts:
        yield printable(f"{'To be written' if dry_run else 'Written'}: {', '.join(parts)}.")
    if guessed:
        likely = ", ".join(f"{name} {files:,}" for name, files in Counter(guessed).most_common())
        yield printable(f"Unsure, by best guess: {likely}.")


def withheld_line(number: int) -> str:
    """Return the line that counts files left alone because their genre was undone, removed or changed."""
    whose = "its" if number == 1 else "their"
    return f"{counted(number, 'file')} left alone because {whose} genre was undone, removed or changed; {FORCE_HINT}."


def next_steps(counts: Summary, *, listed_failures: int, run: int, dry_run: bool) -> Iterator[str]:
    """Yield the commands to try next; failures only where `status` can list them."""
    if dry_run:
        if counts["tagged"]:
            yield "To write these genres, run the same command without --dry-run."
        return
    if counts["tagged"]:
        yield f"To undo this: genrify-tag undo {run}"
    if counts["unsure"]:
        yield "To list the unsure files: genrify-tag status --list unsure"
    if listed_failures:
        yield "To list the failed files: genrify-tag status --list failed"


def duration(seconds: float) -> str:
    """Format a duration: "0.8 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def bars(scores: Mapping[str, float], names: Mapping[str, str], *, width: int = 30) -> Iterator[Text]:
    """Yield one line with a bar for each label, highest score first."""
    longest = max((len(names[label]) for label in scores), default=0)
    for label, score in sorted(scores.items(), key=lambda item: -item[1]):
        filled = round(score * width)
        text = Text(f"  {names[label]:<{longest}}  {score:.3f}  ")
        text.append("█" * filled, style="green")
        text.append("·" * (width - filled), style="dim")
        yield text


def _genres(result: Result) -> str:
    if result.status == "failed":
        return ""
    known = " > ".join(result.path_written) if len(result.genres) == 1 else ", ".join(result.genres)
    shown = known or (f"{result.guess}?" if result.guess else "-")
    return f"{shown} {result.confidence:.2f}" if result.confidence else shown
