"""`genrify-tag evaluate`: evaluate a model on labelled music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger import open_files
from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import write_line, write_text
from genrify_tagger.cli.workbench import SEEDS, dataset_options, need_writable_folder, open_datasets, report_skipped
from genrify_tagger.errors import ConfigError

if TYPE_CHECKING:
    from genrify_tagger.training.evaluation import Predictions, Report

REFERENCE, FORMER_NAME = "reference-", "seed-"  # versions up to 0.1 called the models by the latter
REFERENCE_MODELS = ("reference-logistic", "reference-cnn", "reference-dense")
PROTOCOLS = ("segment", "track", "artist", "lists")
_OF_REFERENCE_MODELS = {
    "--protocol": "protocols",
    "--train-list": "train_list",
    "--test-list": "test_list",
    "--only-ten": "only_ten",
}


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.argument("datasets", nargs=-1, metavar="DATASET...")
@click.option("--output", "-o", metavar="FOLDER", help="Save scores.json and plots in this folder.")
@click.option("--several", is_flag=True, help="Include clips with several labels; any of them counts as correct.")
@model_option
@click.option("--vocabulary", metavar="NAME", help="Vocabulary of the model to evaluate; by default its first.")
@click.option("--by", type=click.Choice(["source"]), help="Also print a line for each source (CSV column `source`).")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(PROTOCOLS),
    help="For a reference model: how to split the data.",
)
@click.option("--train-list", metavar="LIST", help="For the protocol 'lists': clips to train on.")
@click.option("--test-list", metavar="LIST", help="For the protocol 'lists': clips to test on.")
@click.option("--only-ten", is_flag=True, help="For a reference model: skip music outside the ten genres.")
@click.option(
    "--seed", type=SEEDS, default=0, show_default=True, help="Random seed of a reference model's splits and training."
)
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "markdown"]), default="text", help="Output format."
)
@dataset_options()
@click.pass_obj
@common_options
def command(
    state: CliContext, /, model_name: str, datasets: tuple[str, ...], output_format: str, **options: Any
) -> int:
    """Evaluate a model on labelled music.

    MODEL is "shipped", the folder or sidecar of a model (as for --model), or a model of the reference study:
    reference-logistic, reference-cnn, reference-dense, or reference-all. The study's models are trained for every split
    and tested on the rest; they also accept a feature table as DATASET. A split by segment has pieces of one recording
    on both sides, so its scores are marked "leaky".

    \b
    Examples:
      genrify-tag evaluate shipped library:~/Music -o scores
      genrify-tag evaluate mymodel gtzan/ --only valid_filtered.txt
      genrify-tag evaluate reference-all gtzan/ --protocol segment --protocol track --format markdown
    """  # noqa: D301
    from genrify_tagger.training.dependencies import require_libraries

    require_libraries()
    from genrify_tagger.training.evaluation import evaluate_predictions

    model = state.model or model_name
    if state.model:
        datasets = (model_name, *datasets)
    if not datasets:
        raise click.UsageError("Missing argument 'DATASET...'.")
    if options["output"]:
        need_writable_folder(options["output"])
    if model.startswith((REFERENCE, FORMER_NAME)):
        name = REFERENCE + model.removeprefix(FORMER_NAME).removeprefix(REFERENCE)
        predictions = _reference(state, name, datasets, options)
    else:
        predictions = [_finished(state, model, datasets, options)]
    reports = [evaluate_predictions(one, several=options["several"]) for one in predictions]
    _print(reports, output_format, by_source=options["by"] == "source")
    if options["output"]:
        _write(reports, Path(options["output"]))
    return report_skipped(state, reports[0].problems)


def _finished(state: CliContext, model: str, datasets: tuple[str, ...], options: dict[str, Any]) -> Predictions:
    from genrify_tagger.config import current_value
    from genrify_tagger.training.inference import open_model, predict_datasets

    if given := [name for name, value in _OF_REFERENCE_MODELS.items() if options[value]]:
        hint = "a finished model is tested on the whole dataset"
        raise ConfigError(f"{', '.join(given)}: only for the reference models", hint=hint)
    wanted = current_value("analysis.vocabulary", options["vocabulary"])
    sidecar, vocabulary = open_model(None if model == "shipped" else model, wanted)
    opened = open_datasets(datasets, options, any_label=vocabulary.name != "gtzan")
    return predict_datasets(opened, sidecar, vocabulary, jobs=options["jobs"], progress=state.shows_progress)


def _reference(state: CliContext, model: str, datasets: tuple[str, ...], options: dict[str, Any]) -> list[Predictions]:
    from genrify_tagger.training.datasets import read_list
    from genrify_tagger.training.reference_study_models import cross_validate_model, make_protocol, unlearned

    names = REFERENCE_MODELS if model == "reference-all" else (model,)
    if not set(names) <= set(REFERENCE_MODELS):
        raise ConfigError(
            f"no such model: {model!r}",
            hint=f"the reference models are {', '.join(REFERENCE_MODELS)}, or reference-all",
        )
    lists = None
    if options["train_list"] and options["test_list"]:
        lists = (read_list(options["train_list"]), read_list(options["test_list"]))
    found = []
    for source in datasets:
        rows = _rows(state, source, options)
        chosen = options["protocols"] or (*PROTOCOLS[:2], *(["lists"] if lists else []))
        splits = [make_protocol(name, rows, lists=lists, seed=options["seed"]) for name in chosen]
        for split in splits:
            if missing := unlearned(rows, split):
                genres = ", ".join(missing)
                state.console.print(f"split by {split.name}: some fold has no training data for {genres}")
        usable = [name for name in names if rows.mfcc is not None or name != "reference-cnn" or len(names) == 1]
        for name in usable:
            for split in splits:
                state.console.print(f"{name} on {rows.dataset}, split by {split.name}")
                found.append(cross_validate_model(name, rows, split, seed=options["seed"]))
    return found


def _rows(state: CliContext, source: str, options: dict[str, Any]) -> Any:
    """Read a feature table, or compute the features of a dataset."""
    from genrify_tagger.training.feature_table import compute_features, is_table, read_table
    from genrify_tagger.training.genre_labels import acceptable_genres
    from genrify_tagger.training.reference_study_models import rows_of_clips, rows_of_table

    if is_table(source):
        return rows_of_table(Path(source).stem, read_table(source))
    (dataset,) = open_datasets([source], options, any_label=not options["only_ten"])
    single = [clip for clip in dataset.clips if len(clip.labels) == 1]
    if options["only_ten"]:
        single = [clip for clip in single if acceptable_genres(clip.labels)]
    described, problems = compute_features(single, jobs=options["jobs"], progress=state.shows_progress)
    return rows_of_clips(dataset.name, described, [*dataset.problems, *problems])


def _print(reports: list[Report], output_format: str, *, by_source: bool) -> None:
    from genrify_tagger.training.evaluation import report_json
    from genrify_tagger.training.report_text import markdown_table, report_lines

    if output_format == "markdown":
        write_text(markdown_table(reports))
    elif output_format == "json":
        for report in reports:
            write_text(report_json(report))
    else:
        for report in reports:
            for line in report_lines(report, by_source=by_source):
                write_line(line)


def _write(reports: list[Report], folder: Path) -> None:
    from genrify_tagger.training.evaluation import report_json
    from genrify_tagger.training.report_plots import plot_report

    for report in reports:
        parts = [report.model, report.dataset, report.protocol] if len(reports) > 1 else []
        own = folder.joinpath(*("".join(c if c.isalnum() or c in "-." else "_" for c in part) for part in parts))
        plot_report(report, own)
        open_files.write_file(str(own / "scores.json"), report_json(report).encode())
