"""What every command may ask for: the global options, the settings, the consoles."""

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
    """The global options as given, and what follows from them; `click.pass_obj` hands it to a command.

    Attributes
    ----------
    config_file, database : str or None
        The settings file and the database, if they were named.
    verbose, quiet : bool
        More lines, or errors only.
    log_format : {"text", "json"}
        How log lines look.
    """

    config_file: str | None = None
    database: str | None = None
    verbose: bool = False
    quiet: bool = False
    log_format: LogFormat = "text"

    def load(self, overrides: Mapping[str, object] | None = None) -> LoadedSettings:
        """Gather the settings with their origins.

        Parameters
        ----------
        overrides : mapping of str to object, optional
            Values of the command's options by setting (``tagging.existing``); None and () mean "not given".

        Raises
        ------
        ConfigError
            If any setting is wrong.
        """
        from genrify_tagger.config import load_settings

        given = {"database.url": self.database, **(overrides or {})}
        return load_settings(config_file=self.config_file, overrides=given)

    def settings(self, overrides: Mapping[str, object] | None = None) -> Settings:
        """Gather the settings; see `load`."""
        return self.load(overrides).settings

    @cached_property
    def console(self) -> Console:
        """The console on stderr, for progress and words to people."""
        from genrify_tagger.cli.output import make_console

        return make_console(stderr=True, quiet=self.quiet)

    @cached_property
    def out(self) -> Console:
        """The console on stdout, for styled results; lines are never wrapped, styles vanish in a pipe."""
        from genrify_tagger.cli.output import make_console

        return make_console(stderr=False)

    @property
    def shows_progress(self) -> bool:
        """Whether a live display makes sense: a person watches, and wants to see it."""
        return self.console.is_terminal and not self.quiet and self.log_format == "text"

    def start(self, *, dated: bool = False) -> None:
        """Set logging up, once all options are known; `dated` as in `logs.configure`."""
        from genrify_tagger.logs import configure

        if self.verbose and self.quiet:
            raise click.UsageError("choose --verbose or --quiet", click.get_current_context(silent=True))
        configure(verbose=self.verbose, quiet=self.quiet, log_format=self.log_format, dated=dated)


def common_options(command: Callable[P, T]) -> Callable[P, T]:
    """Let a command take the global options behind its name, too, and set logging up before it runs.

    To be placed directly above the function, under its other options.
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
        Whether those that are rarely typed behind a command are left out of its help.
    """
    options = [
        click.option(
            "--config",
            "config_file",
            type=click.Path(),
            metavar="FILE",
            help="Settings file to use.",
            hidden=hidden,
            **_REMEMBERED,
        ),
        click.option(
            "--database",
            metavar="URL",
            help="Database to use: a file or an SQLAlchemy URL.",
            hidden=hidden,
            **_REMEMBERED,
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            help="How log lines look.",
            hidden=hidden,
            **_REMEMBERED,
        ),
        click.option("--verbose", "-v", is_flag=True, help="Tell more.", **_REMEMBERED),
        click.option("--quiet", "-q", is_flag=True, help="Tell errors only.", **_REMEMBERED),
    ]

    def decorate(command: Callable[P, T]) -> Callable[P, T]:
        return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)

    return decorate


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value and parameter.name:
        setattr(ctx.ensure_object(CliContext), parameter.name, value)


# The options speak to the State and not to the command; what stands behind the command wins.
_REMEMBERED: dict[str, Any] = {"expose_value": False, "callback": _remember}
