"""`genrify-tag train`: train a model on the user's music."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import write_line
from genrify_tagger.cli.workbench import SEEDS, dataset_options, need_writable_folder, open_datasets, report_skipped


@click.command()
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--output", "-o", required=True, metavar="FOLDER", help="Folder for the training run and the model.")
@click.option("--from-scratch", is_flag=True, help="Train a small CNN from scratch instead of fine-tuning MSD_musicnn.")
@click.option(
    "--weights", metavar="WHEEL", help="Local copy of the musicnn 0.1.0 wheel, instead of downloading it from PyPI."
)
@click.option(
    "--tune",
    type=click.Choice(["head", "mid", "all"]),
    default="mid",
    show_default=True,
    help="Layers of MSD_musicnn to fine-tune: the head alone, also mid-end and dense layer, or all.",
)
@click.option(
    "--labels",
    "vocabulary",
    type=click.Choice(["gtzan", "own"]),
    default="gtzan",
    show_default=True,
    help='Learn the ten genres (and "none of them"), or the labels of the datasets as they are.',
)
@click.option(
    "--validation-list", metavar="LIST", help="Clips to validate on; default: those of a fifth of the artists."
)
@click.option("--epochs", type=click.IntRange(1), default=30, show_default=True, help="Maximum number of epochs.")
@click.option("--steps", type=click.IntRange(1), default=60, show_default=True, help="Batches per epoch.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Segments per batch.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=5e-4,
    show_default=True,
    help="Learning rate of AdamW.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Stop after this many epochs without improvement.",
)
@click.option("--no-augmentation", is_flag=True, help="Train on the unmodified audio.")
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Random seed.")
@click.option("--cache", metavar="FOLDER", help="Folder for decoded audio.")
@dataset_options()
@click.pass_obj
@common_options
def command(state: CliContext, /, datasets: tuple[str, ...], **options: Any) -> int:
    """Train a model on your own music.

    Writes `model.keras`, the flatbuffer and sidecar that the tagger uses, a model card and a plot of the training run.
    Run the same command again to continue an interrupted run.

    \b
    Examples:
      genrify-tag train gtzan/ allmusic/labels.csv -o mymodel
      genrify-tag train library:~/Music -o mymodel --labels own
      genrify-tag evaluate mymodel library:~/Other
      genrify-tag scan ~/Music --model mymodel --dry-run
    """  # noqa: D301
    from genrify_tagger.training.dependencies import load_tensorflow, require_libraries

    require_libraries("tensorflow", "matplotlib", "sklearn")
    folder = need_writable_folder(options["output"])
    load_tensorflow()
    from genrify_tagger.training.user_model import train_user_model

    opened = open_datasets(datasets, options, any_label=options["vocabulary"] == "own")
    plan, how = _plan(options, progress=state.shows_progress)
    trained = train_user_model(opened, folder, plan, how, tell=state.console.print)
    write_line(f"{trained.folder}: Keras and LiteRT agree within {trained.agreement:.1e}")
    return report_skipped(state, trained.problems)


def _plan(options: dict[str, Any], *, progress: bool) -> tuple[Any, Any]:
    """Split the options into the training plan and the fitting options."""
    from genrify_tagger.training.augmentation import NO_AUGMENTATION, Augmentation
    from genrify_tagger.training.datasets import read_list
    from genrify_tagger.training.training_loop import TrainingOptions
    from genrify_tagger.training.user_model import TrainingPlan

    validation, weights, cache = (options[name] for name in ("validation_list", "weights", "cache"))
    plan = TrainingPlan(
        vocabulary=options["vocabulary"],
        tune=options["tune"],
        scratch=options["from_scratch"],
        wheel=Path(weights) if weights else None,
        validation=read_list(validation) if validation else None,
        cache=Path(cache) if cache else None,
        jobs=options["jobs"],
        progress=progress,
    )
    same = {name: options[name] for name in ("epochs", "steps", "batch", "learning_rate", "patience", "seed")}
    return plan, TrainingOptions(**same, augmentation=NO_AUGMENTATION if options["no_augmentation"] else Augmentation())
