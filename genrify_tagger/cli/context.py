"""The context of every command: global options, settings, consoles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from genrify_tagger.config import LoadedSettings, Settings
    from genrify_tagger.logs import LogFormat

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class CliContext:
    """The global options and what is derived from them; `click.pass_obj` passes it to a command.

    Attributes
    ----------
    config_file, database : str or None
        The settings file and the database, if given.
    model : str or None
        Folder or sidecar of the model, if given.
    verbose, quiet : bool
        Print more, or errors only.
    log_format : {"text", "json"}
        Format of log lines.
    """

    config_file: str | None = None
    database: str | None = None
    model: str | None = None
    verbose: bool = False
    quiet: bool = False
    log_format: LogFormat = "text"

    def load(self, overrides: Mapping[str, object] | None = None) -> LoadedSettings:
        """Load the settings with their origins.

        Parameters
        ----------
        overrides : mapping of str to object, optional
            Values of the command's options by name of setting (``tagging.existing``); None and () mean "not given".

        Raises
        ------
        ConfigError
            If any setting is invalid.
        """
        from genrify_tagger.config import load_settings

        given = {"database.url": self.database, "analysis.model": self.model, **(overrides or {})}
        return load_settings(config_file=self.config_file, overrides=given)

    def settings(self, overrides: Mapping[str, object] | None = None) -> Settings:
        """Load the settings alone; see `load`."""
        return self.load(overrides).settings

    @cached_property
    def console(self) -> Console:
        """The console on stderr, for progress and messages."""
        from genrify_tagger.cli.output import make_console

        return make_console(stderr=True, quiet=self.quiet)

    @cached_property
    def out(self) -> Console:
        """The console on stdout, for styled results; never wraps lines, drops styles in a pipe."""
        from genrify_tagger.cli.output import make_console

        return make_console(stderr=False)

    @property
    def shows_progress(self) -> bool:
        """Whether to show live progress: stderr is a terminal, and neither --quiet nor JSON logs were asked for."""
        return self.console.is_terminal and not self.quiet and self.log_format == "text"

    def start(self, *, dated: bool = False) -> None:
        """Set up logging once all options are known; `dated` as in `logs.configure`."""
        from genrify_tagger.logs import configure

        if self.verbose and self.quiet:
            raise click.UsageError("choose --verbose or --quiet", click.get_current_context(silent=True))
        configure(verbose=self.verbose, quiet=self.quiet, log_format=self.log_format, dated=dated)


def common_options(command: Callable[P, T]) -> Callable[P, T]:
    """Accept the global options after the command's name, too, and set up logging before it runs.

    Place it directly above the function, below its other options.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        click.get_current_context().ensure_object(CliContext).start()
        return command(*args, **kwargs)

    return global_options(hidden=True)(run)


def global_options(*, hidden: bool) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return the decorator that adds the global options.

    Parameters
    ----------
    hidden : bool
        Whether to leave out of the help those that are rarely given after a command's name.
    """
    options = [
        click.option(
            "--config",
            "config_file",
            type=click.Path(),
            metavar="FILE",
            help="Settings file to use.",
            hidden=hidden,
            **_STORED_IN_CONTEXT,
        ),
        click.option(
            "--database",
            metavar="URL",
            help="Database to use: a file path or an SQLAlchemy URL.",
            hidden=hidden,
            **_STORED_IN_CONTEXT,
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            help="Format of log lines.",
            hidden=hidden,
            **_STORED_IN_CONTEXT,
        ),
        click.option("--verbose", "-v", is_flag=True, help="Print more.", **_STORED_IN_CONTEXT),
        click.option("--quiet", "-q", is_flag=True, help="Print errors only.", **_STORED_IN_CONTEXT),
    ]

    def decorate(command: Callable[P, T]) -> Callable[P, T]:
        return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)

    return decorate


def _store_in_context(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value and parameter.name:
        setattr(ctx.ensure_object(CliContext), parameter.name, value)


# These set the context and are not passed to the command; given after the command's name, they win.
_STORED_IN_CONTEXT: dict[str, Any] = {"expose_value": False, "callback": _store_in_context}

#: Of the commands that analyse music; as for the global options.
model_option = click.option(
    "--model", metavar="PATH", help="Folder or sidecar of another model than the shipped one.", **_STORED_IN_CONTEXT
)
