"""`genrify-tag service`: install the background service under systemd, launchd or the Task Scheduler."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.config import settings_file
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import write_line, write_text
from genrify_tagger.errors import ConfigError, GenrifyError
from genrify_tagger.user_folders import user_folder
from genrify_tagger.watch.native_service import NativeService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genrify_tagger.config import Settings
    from genrify_tagger.watch.systemd_units import Unit

log = logging.getLogger(__name__)

system_option = click.option(
    "--system", is_flag=True, help="The system-wide service of systemd; root installs and removes it."
)


@click.group(cls=Group)
def command() -> None:
    """Install the background service.

    The system's own manager (systemd; launchd on macOS, the Task Scheduler on Windows) then runs `genrify-tag watch` on
    the roots in the settings, for your user (the default) or, with systemd, system-wide.

    \b
    Examples:
      genrify-tag service install
      sudo genrify-tag service install --system --user ana
      genrify-tag service status
    """  # noqa: D301


@command.command()
@system_option
@click.option("--user", metavar="NAME", help="With --system: the user it runs as; default: the user who called sudo.")
@click.option("--no-start", is_flag=True, help="Write the service's file, but do not start it.")
@click.option("--print", "only_print", is_flag=True, help="Print the service's file and change nothing.")
@click.pass_obj
@common_options
def install(state: CliContext, system: bool, user: str | None, no_start: bool, only_print: bool) -> None:
    """Write the service's file and start it.

    \b
    Examples:
      genrify-tag service install
      genrify-tag service install --print
      sudo genrify-tag service install --system --user ana
    """  # noqa: D301
    from genrify_tagger.watch import systemd_units

    if system:
        _become(_owner(user))
    elif user is not None:
        raise click.UsageError("--user needs --system", click.get_current_context())
    settings = state.settings()
    if not settings.library.roots:
        path = settings_file(state)
        where = "" if os.path.exists(path) else "make this file with `genrify-tag config init`, and "
        hint = f'{where}add roots = ["~/Music"] under [library]'
        raise ConfigError("no library.roots to watch", path=path, hint=hint)
    _warn_of_variables(state)
    if native := _native(_watch_command(state), system=system):
        _install_native(native, start=not no_start, only_print=only_print)
        return
    unit = _unit(state, settings, system=system, user=user)
    if only_print:
        write_text(unit.text)
        return
    if not no_start and not systemd_units.systemd_runs():
        raise GenrifyError("systemd is not running", hint=systemd_units.alternatives(_watch_command(state)))
    systemd_units.write(unit)
    write_line(f"wrote {unit.path}")
    if not no_start:
        systemd_units.call(unit, "daemon-reload")
        systemd_units.call(unit, "enable", "--now", systemd_units.NAME)
        write_line("the service is running; 'genrify-tag status' shows what it does")
    _offer_lingering(unit)


@command.command()
@system_option
@click.pass_obj
@common_options
def uninstall(state: CliContext, system: bool) -> int:
    """Stop the service and remove its file.

    Keeps the settings and the database.

    \b
    Examples:
      genrify-tag service uninstall
      sudo genrify-tag service uninstall --system
    """  # noqa: D301
    from genrify_tagger.watch import systemd_units

    native = _native(_watch_command(state), system=system)
    unit = native or _place(system=system)
    if not os.path.exists(unit.path):
        raise GenrifyError("is not installed", path=unit.path)
    if isinstance(unit, NativeService):
        unit.uninstall()
        write_line(f"removed {unit.path}")
        return 0
    if systemd_units.systemd_runs():
        systemd_units.call(unit, "disable", "--now", systemd_units.NAME)
    systemd_units.remove(unit)
    if systemd_units.systemd_runs():
        systemd_units.call(unit, "daemon-reload")
    write_line(f"removed {unit.path}")
    return 0


@command.command()
@system_option
@click.pass_obj
@common_options
def status(state: CliContext, system: bool) -> int:
    """Show whether the service is installed and running.

    The exit status is 1 if it is not running.

    \b
    Examples:
      genrify-tag service status
      genrify-tag service status --system
    """  # noqa: D301
    from genrify_tagger.watch import systemd_units
    from genrify_tagger.watch.service_state import service_state

    unit = _native(_watch_command(state), system=system) or _place(system=system)
    installed = os.path.exists(unit.path)
    running = service_state(state.settings())
    write_line(f"{'installed' if installed else 'not installed'}: {unit.path}")
    if isinstance(unit, NativeService):
        write_line(f"{unit.manager}: {'knows the service' if unit.is_known() else 'does not know the service'}")
    elif systemd_units.systemd_runs():
        write_line(f"systemd: {systemd_units.ask(unit, 'is-enabled')}, {systemd_units.ask(unit, 'is-active')}")
    else:
        write_line(f"systemd is not running: {systemd_units.alternatives(_watch_command(state))}")
    write_line(f"running: process {running['pid']}, {running['phase']}" if running else "not running")
    return 0 if running else 1


def _native(command: Sequence[str], *, system: bool) -> NativeService | None:
    """Return the service of launchd or of the Task Scheduler; None on other systems."""
    if sys.platform == "darwin":
        from genrify_tagger.watch.launchd_agent import launchd_agent

        _refuse_system(system)
        return launchd_agent(command, home=os.path.expanduser("~"), user=os.getuid())
    elif sys.platform == "win32":
        from genrify_tagger.watch.scheduled_task import scheduled_task

        _refuse_system(system)
        domain = os.environ.get("USERDOMAIN") or os.environ.get("COMPUTERNAME", "")
        user = f"{domain}\\{_user_name()}".lstrip("\\")
        return scheduled_task(_windowless(command), folder=user_folder("data"), user=user)
    else:
        return None


def _refuse_system(system: bool) -> None:
    if system:
        raise click.UsageError("--system is for systemd only", click.get_current_context())


def _windowless(command: Sequence[str]) -> Sequence[str]:
    """Return the command line of the service without a console window: by the Python that has none."""
    python = os.path.join(os.path.dirname(sys.executable), "pythonw.exe")
    return [python, "-m", "genrify_tagger", *command[command.index("watch") :]]


def _install_native(service: NativeService, *, start: bool, only_print: bool) -> None:
    if only_print:
        write_text(service.text)
        return
    service.install(start=start)
    write_line(f"wrote {service.path}")
    if start:
        write_line("the service is running; 'genrify-tag status' shows what it does")


def _warn_of_variables(state: CliContext) -> None:
    """Warn about settings in environment variables, which the service will not see."""
    loaded = state.load()
    if names := sorted({origin for origin in loaded.origins.values() if origin.startswith("GENRIFY_")}):
        log.warning("the service will not see %s; put these settings into %s", ", ".join(names), loaded.file)


def _unit(state: CliContext, settings: Settings, *, system: bool, user: str | None) -> Unit:
    from genrify_tagger.system_limits import available_processors
    from genrify_tagger.watch import systemd_units

    command = _watch_command(state)
    jobs = settings.analysis.jobs or available_processors()
    if not system:
        return systemd_units.user_unit(command, jobs=jobs)
    return systemd_units.system_unit(command, user=_owner(user), writable=_writable(settings), jobs=jobs)


def _owner(user: str | None) -> str:
    return user or os.environ.get("SUDO_USER") or _user_name()


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        hint = "run `genrify-tag watch` instead of installing it"
        raise GenrifyError("this user has no name", hint=hint) from None


def _become(user: str) -> None:
    """Find settings and database where the service will: in its user's home, not in root's."""
    home = _home_of(user)
    if user != _user_name():
        os.environ["HOME"] = home
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)


def _home_of(user: str) -> str:
    if sys.platform == "win32":
        raise GenrifyError("there are no system-wide services of systemd on this system")
    else:
        import pwd

        try:
            return pwd.getpwnam(user).pw_dir
        except KeyError:
            raise GenrifyError(f"no such user: {user!r}", hint="name the owner of the music with --user") from None


def _place(*, system: bool) -> Unit:
    from genrify_tagger.watch import systemd_units

    user = _user_name()
    return (
        systemd_units.system_unit([], user=user, writable=[], jobs=1) if system else systemd_units.user_unit([], jobs=1)
    )


def _watch_command(state: CliContext) -> Sequence[str]:
    """Return the command line of the service: this program with the same settings file and database."""
    program = shutil.which(sys.argv[0]) or sys.argv[0]
    start = [os.path.abspath(program)] if os.access(program, os.X_OK) else [sys.executable, "-m", "genrify_tagger"]
    named: list[Any] = ["--config", state.load().file] if state.config_file or os.environ.get("GENRIFY_CONFIG") else []
    database = ["--database", state.database] if state.database else []
    return [*start, "watch", *named, *database]


def _writable(settings: Settings) -> list[str]:
    """Return the folders that the service writes to: the roots and the database's folder."""
    from genrify_tagger.store import database_file

    database = database_file(settings.database.url)
    folder = os.path.dirname(database) if database else user_folder("state")
    return [*map(os.path.abspath, settings.library.roots), folder]


def _offer_lingering(unit: Unit) -> None:
    if not unit.is_system and not os.path.exists(f"/var/lib/systemd/linger/{_user_name()}"):
        write_line("The service runs while you are logged in. To keep it running: loginctl enable-linger")
