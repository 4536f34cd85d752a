"""`genrify-tag serve`: the web page on this machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import write_line
from genrify_tagger.errors import GenrifyError
from genrify_tagger.extras import install_command

if TYPE_CHECKING:
    from types import ModuleType

    from genrify_tagger.config import Settings
    from genrify_tagger.web import Server


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on; by default only this machine can connect.")
@click.option("--port", "-p", type=int, metavar="N", help="Port to listen on; 0 picks a free one.")
@model_option
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the web browser.")
@click.pass_obj
@common_options
def command(state: CliContext, host: str | None, port: int | None, open_browser: bool) -> None:
    """Serve the web page on this machine.

    Drop songs to play and genrify them, browse the library, correct genres, undo changes. By default only this machine
    can connect; any other address needs a token (web.token or GENRIFY_WEB__TOKEN), for which the page asks once. Press
    Ctrl-C to stop.

    \b
    Examples:
      genrify-tag serve --open
      genrify-tag serve --port 9000

    \b
    On a NAS, for the other machines of your network:
      GENRIFY_WEB__TOKEN='a long random word' genrify-tag serve --host 0.0.0.0
    """  # noqa: D301
    from genrify_tagger.cli.interruptible import interruptible
    from genrify_tagger.pipeline import open_session

    settings = state.settings({"web.host": host, "web.port": port})
    web = _import_web()
    try:
        with interruptible(), open_session(settings) as session, web.open_app_context(session) as context:
            server = web.make_server(web.make_app(context), context)
            _announce(state, server, settings.web.host, open_browser=open_browser)
            server.run()
    except KeyboardInterrupt:
        return  # the usual way to stop it


@contextmanager
def page_beside(state: CliContext, settings: Settings) -> Iterator[None]:
    """Serve the page in a separate thread while the `with` block lasts.

    It has its own session, because the service replaces its session whenever the settings change.
    """
    from genrify_tagger.pipeline import open_session

    web = _import_web()
    with open_session(settings) as session, web.open_app_context(session) as context:
        server = web.make_server(web.make_app(context), context)
        thread = threading.Thread(target=server.run, name="genrify-page")
        thread.start()
        try:
            _announce(state, server, settings.web.host, open_browser=False)
            yield
        finally:
            server.stop()
            thread.join()


def _import_web() -> ModuleType:
    try:
        from genrify_tagger import web
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"flask", "waitress", "werkzeug", "jinja2"}:
            raise
        raise GenrifyError("the page needs Flask and waitress", hint=install_command("web")) from error
    return web


def _announce(state: CliContext, server: Server, host: str, *, open_browser: bool) -> None:
    shown = "127.0.0.1" if host in {"0.0.0.0", "::", "localhost"} else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{server.port}/"
    write_line(f"Hear it. Genrify it. {address}")
    sys.stdout.flush()
    if not state.quiet:
        if host in {"0.0.0.0", "::"}:
            state.console.print("From other machines, use the IP address of this one instead of 127.0.0.1.")
        state.console.print("Press Ctrl-C to stop.")
    if open_browser:
        import webbrowser

        webbrowser.open(address)
