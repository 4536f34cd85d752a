"""`genrify-tag features`: the table of audio features of the reference study."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger import open_files
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import table, write_line
from genrify_tagger.cli.workbench import dataset_options, need_writable_file, open_datasets, report_skipped

if TYPE_CHECKING:
    from genrify_tagger.training.feature_table import FeatureTable


@click.command()
@click.argument("dataset")
@click.option("--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Output file; default: stdout.")
@click.option(
    "--seconds", type=click.Choice(["3", "30"]), default="3", show_default=True, help="Seconds of audio per row."
)
@click.option("--compare", metavar="TABLE", help="Compare the columns with those of a published table.")
@dataset_options()
@click.pass_obj
@common_options
def command(
    state: CliContext, /, dataset: str, output: str | None, seconds: str, compare: str | None, jobs: int, **options: Any
) -> int:
    """Compute a table of audio features.

    57 features for every 3 or 30 seconds, as in the tables published with GTZAN: chroma, RMS, spectral centroid,
    bandwidth, rolloff, zero crossings, harmonic and percussive parts, tempo and 20 MFCC. DATASET is a folder with a
    subfolder for each genre, a CSV of files and labels, an FMA dataset, or a tagged library.

    \b
    Examples:
      genrify-tag features gtzan/ -o features_3_sec.csv
      genrify-tag features gtzan/ --seconds 30 -o features_30_sec.csv --compare published.csv
    """  # noqa: D301
    from genrify_tagger.training.dependencies import require_libraries

    require_libraries("librosa")
    from genrify_tagger.training.feature_table import build_table, compute_features, read_table, write_table

    if output:
        need_writable_file(output)
    published = read_table(compare) if compare else None
    (opened,) = open_datasets([dataset], options, any_label=True)
    described, problems = compute_features(opened.clips, seconds=int(seconds), jobs=jobs, progress=state.shows_progress)
    found = build_table(described, seconds=int(seconds))
    if output:
        text = io.StringIO(newline="")
        write_table(found, text)
        open_files.write_file(output, text.getvalue().encode())
    else:
        write_table(found, sys.stdout)
    state.console.print(f"{len(found.files):,} rows from {len(described):,} clips")
    if published is not None:
        _compare(found, published)
    return report_skipped(state, [*opened.problems, *problems])


def _compare(found: FeatureTable, published: FeatureTable) -> None:
    from genrify_tagger.training.feature_table import compare_tables

    n, columns = compare_tables(found, published)
    write_line(f"{n} clips in both tables; differences are in standard deviations of the published column")
    rows = [[one.column, f"{one.correlation:.4f}", f"{one.median:.4f}", f"{one.high:.4f}"] for one in columns]
    headers = ("column", "correlation", "median", "95%")
    for line in table(headers, rows, right=headers[1:]):
        write_line(line)
