"""`genrify-tag completion`: shell completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from genrify_tagger.cli import PROGRAM, cli
from genrify_tagger.cli.context import common_options
from genrify_tagger.cli.output import write_text


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
def command(shell: str) -> None:
    """Print a shell completion script.

    The folder must exist; for zsh, `fpath` must contain it.

    \b
    Examples:
      genrify-tag completion bash > ~/.local/share/bash-completion/completions/genrify-tag
      genrify-tag completion zsh > ~/.zfunc/_genrify-tag
      genrify-tag completion fish > ~/.config/fish/completions/genrify-tag.fish
    """  # noqa: D301
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"the installed version of click has no completion for {shell}")
    variable = f"_{PROGRAM}_complete".replace("-", "_").upper()
    write_text(found(cli, {}, PROGRAM, variable).source())
