"""`genrify-tag evaluate`: how good a model is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import write_line, write_text
from genrify_tagger.cli.workbench import SEEDS, dataset_options, need_room, open_datasets, tell_problems
from genrify_tagger.errors import ConfigError

if TYPE_CHECKING:
    from genrify_tagger.training.evaluation import Predictions, Report

SEED_MODELS = ("seed-logistic", "seed-cnn", "seed-dense")
PROTOCOLS = ("segment", "track", "artist", "lists")
_OF_SEED_MODELS = {
    "--protocol": "protocols",
    "--train-list": "train_list",
    "--test-list": "test_list",
    "--only-ten": "only_ten",
}


@click.command()
@click.argument("model")
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--output", "-o", metavar="FOLDER", help="Write scores.json and pictures there.")
@click.option("--several", is_flag=True, help="Also judge clips with several labels; any of them is right.")
@click.option("--vocabulary", default="gtzan", show_default=True, help="Which of the model's lists of genres to judge.")
@click.option(
    "--protocol", "protocols", multiple=True, type=click.Choice(PROTOCOLS), help="Of a seed model: how to split."
)
@click.option("--train-list", metavar="LIST", help="For the protocol lists: clips to train on.")
@click.option("--test-list", metavar="LIST", help="For the protocol lists: clips to judge.")
@click.option("--only-ten", is_flag=True, help="Of a seed model: leave out music of other than the ten genres.")
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Of a seed model's splits and training.")
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "markdown"]), default="text", help="How to print."
)
@dataset_options()
@click.pass_obj
@common_options
def command(state: CliContext, /, model: str, datasets: tuple[str, ...], output_format: str, **options: Any) -> int:
    """Judge a model on labelled music.

    MODEL is "shipped", a model's folder or sidecar, or one of the seed's models, which are trained anew for every split
    and judged on the rest: seed-logistic, seed-cnn, seed-dense, or seed-all. A split by segment puts pieces of one
    recording on both sides; its figures are called leaky. The seed's models also take a feature table as DATASET.

    \b
    Examples:
      genrify-tag evaluate shipped library:~/Music -o scores
      genrify-tag evaluate mymodel gtzan/ --only valid_filtered.txt
      genrify-tag evaluate seed-all gtzan/ --protocol segment --protocol track --format markdown
    """  # noqa: D301
    from genrify_tagger.training.extra import require

    require()
    from genrify_tagger.training.evaluation import evaluate

    if options["output"]:
        need_room(options["output"])
    if model.startswith("seed-"):
        predictions = _seed(state, model, datasets, options)
    else:
        predictions = [_ours(state, model, datasets, options)]
    reports = [evaluate(one, several=options["several"]) for one in predictions]
    _print(reports, output_format)
    if options["output"]:
        _write(reports, Path(options["output"]))
    return tell_problems(state, reports[0].problems)


def _ours(state: CliContext, model: str, datasets: tuple[str, ...], options: dict[str, Any]) -> Predictions:
    from genrify_tagger.training.hearing import hear, sidecar_of

    if given := [name for name, value in _OF_SEED_MODELS.items() if options[value]]:
        hint = "a finished model is judged on all it is given"
        raise ConfigError(f"{', '.join(given)}: for the seed's models alone", hint=hint)
    sidecar = None if model == "shipped" else sidecar_of(model)
    opened = open_datasets(datasets, options, any_label=options["vocabulary"] != "gtzan")
    shown = state.shows_progress
    return hear(opened, sidecar, vocabulary=options["vocabulary"], jobs=options["jobs"], progress=shown)


def _seed(state: CliContext, model: str, datasets: tuple[str, ...], options: dict[str, Any]) -> list[Predictions]:
    from genrify_tagger.training.baselines import make_protocol, run_baseline, unlearned
    from genrify_tagger.training.datasets import read_list

    names = SEED_MODELS if model == "seed-all" else (model,)
    if not set(names) <= set(SEED_MODELS):
        raise ConfigError(f"no model {model!r}", hint=f"the seed's are {', '.join(SEED_MODELS)}, or seed-all")
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
                told = f"by {split.name}, some fold has nothing to learn {', '.join(missing)} from"
                state.console.print(f"{told}: its tracks of these cannot be right")
        usable = [name for name in names if rows.mfcc is not None or name != "seed-cnn" or len(names) == 1]
        for name in usable:
            for split in splits:
                state.console.print(f"{name} on {rows.dataset}, split by {split.name}")
                found.append(run_baseline(name, rows, split, seed=options["seed"]))
    return found


def _rows(state: CliContext, source: str, options: dict[str, Any]) -> Any:
    """Read a feature table, or compute the features of a dataset."""
    from genrify_tagger.training.baselines import rows_of_clips, rows_of_table
    from genrify_tagger.training.feature_table import describe_clips, is_table, read_table
    from genrify_tagger.training.labels import answers

    if is_table(source):
        return rows_of_table(Path(source).stem, read_table(source))
    (dataset,) = open_datasets([source], options, any_label=not options["only_ten"])
    single = [clip for clip in dataset.clips if len(clip.labels) == 1]
    if options["only_ten"]:
        single = [clip for clip in single if answers(clip.labels)]
    described, problems = describe_clips(single, jobs=options["jobs"], progress=state.shows_progress)
    return rows_of_clips(dataset.name, described, [*dataset.problems, *problems])


def _print(reports: list[Report], output_format: str) -> None:
    from genrify_tagger.training.evaluation import to_json
    from genrify_tagger.training.tables import markdown, text

    if output_format == "markdown":
        write_text(markdown(reports))
    elif output_format == "json":
        for report in reports:
            write_text(to_json(report))
    else:
        for report in reports:
            for line in text(report):
                write_line(line)


def _write(reports: list[Report], folder: Path) -> None:
    from genrify_tagger.training.evaluation import to_json
    from genrify_tagger.training.report_plots import plot_report

    for report in reports:
        parts = [report.model, report.dataset, report.protocol] if len(reports) > 1 else []
        own = folder.joinpath(*("".join(c if c.isalnum() or c in "-." else "_" for c in part) for part in parts))
        plot_report(report, own)
        (own / "scores.json").write_text(to_json(report), encoding="utf-8")
