"""`genrify-tag config`: show the settings, locate the settings file, create it."""

from __future__ import annotations

import os

import click

from genrify_tagger import open_files
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import format_option, write_json, write_line, write_text
from genrify_tagger.errors import ConfigError


@click.group(cls=Group)
def command() -> None:
    """Show, locate or create the settings file.

    \b
    Examples:
      genrify-tag config init
      genrify-tag config show
    """  # noqa: D301


@command.command()
@format_option("text", "json")
@click.pass_obj
@common_options
def show(state: CliContext, output_format: str) -> None:
    """Show the settings in effect and where each comes from.

    Later sources win: defaults, settings file, environment variables GENRIFY_<SECTION>__<KEY>, command-line options.

    \b
    Examples:
      genrify-tag config show
      GENRIFY_TAGGING__EXISTING=merge genrify-tag config show
      genrify-tag config show --format json
    """  # noqa: D301
    from genrify_tagger.config import effective_json, effective_toml

    loaded = state.load()
    if output_format == "json":
        write_json(effective_json(loaded))
    else:
        write_text(effective_toml(loaded))


@command.command()
@click.pass_obj
@common_options
def path(state: CliContext) -> None:
    """Print the path of the settings file, whether or not it exists.

    \b
    Examples:
      genrify-tag config path
      $EDITOR "$(genrify-tag config path)"
    """  # noqa: D301
    write_line(settings_file(state))


@command.command()
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.pass_obj
@common_options
def init(state: CliContext, force: bool) -> None:
    """Write a settings file that explains every setting.

    Every line is commented out, so it changes nothing until you edit it.

    \b
    Examples:
      genrify-tag config init
      genrify-tag --config ./genrify.toml config init
    """  # noqa: D301
    from genrify_tagger.config import settings_template

    file = settings_file(state)
    if os.path.lexists(file) and not force:
        raise ConfigError("already exists", path=file, hint="--force overwrites it")
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        open_files.write_file(file, settings_template().encode())
    except OSError as error:
        hint = "name another file with --config or GENRIFY_CONFIG"
        raise ConfigError(f"cannot be written: {error.strerror}", path=file, hint=hint) from error
    write_line(f"wrote {file}")


def settings_file(state: CliContext) -> str:
    """Return the path of the settings file, whether or not it exists."""
    from genrify_tagger.config import config_path

    return os.path.abspath(os.path.expanduser(state.config_file)) if state.config_file else config_path()
