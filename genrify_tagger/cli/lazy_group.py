"""Groups of commands: imported on demand, listed under headings, with suggestions for mistyped names."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem


class Group(click.Group):
    """A group that suggests the closest command for a mistyped name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command to run, as click does, or fail with a suggestion."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing and not args[0].startswith("-"):
            self._fail_with_suggestion(ctx, args[0])
        return super().resolve_command(ctx, args)

    def _fail_with_suggestion(self, ctx: click.Context, typed: str) -> NoReturn:
        known = self.list_commands(ctx)
        near = difflib.get_close_matches(typed.lower(), known, n=1, cutoff=0.5)
        advice = f"did you mean '{near[0]}'?" if near else f"the commands are {', '.join(known)}"
        ctx.fail(f"no such command '{typed}'; {advice}")


class LazyGroup(Group):
    """A group whose commands are modules that are imported only when run.

    Parameters
    ----------
    package : str
        Where the modules are: command "scan" is `command` in module ``package.scan``.
    table : mapping of str to mapping of str to str
        Heading to command to first line of help; repeated here so that the help text imports no command.
    """

    def __init__(self, *args: Any, package: str, table: Mapping[str, Mapping[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.package = package
        self.table = table

    @property
    def short_helps(self) -> dict[str, str]:
        """First line of help of each command, in the order of the help text."""
        return {name: line for part in self.table.values() for name, line in part.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help text."""
        return list(self.short_helps)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is no command of this name."""
        if cmd_name not in self.short_helps:
            return None
        command: click.Command = importlib.import_module(f"{self.package}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        width = max(len(name) for name in self.short_helps)
        for heading, part in self.table.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), line) for name, line in part.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        found = [CompletionItem(n, help=h) for n, h in self.short_helps.items() if n.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
