"""systemd unit files for the service, and their installation.

The system unit is sandboxed: it may write to the roots and its database only. The user unit is not: a sandbox in a
user's manager runs in a user namespace, in which files of other owners appear to belong to "nobody", and a write that
cannot keep a file's owner is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genrify_tagger import open_files
from genrify_tagger.errors import GenrifyError

NAME = "genrify-tagger.service"
SYSTEM_FOLDER = "/etc/systemd/system"

_COMMON = """\
[Unit]
Description=Genrify Tagger: tags new songs with their genre
{after}
[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=2
WatchdogSec=300
TimeoutStartSec=600
TimeoutStopSec=30
KillMode=mixed
Nice=19
IOSchedulingClass=idle
CPUSchedulingPolicy=batch
MemoryHigh={memory}M
MemoryMax={memory_max}M
OOMPolicy=continue
NoNewPrivileges=yes
"""

_SYSTEM = """\
User={user}
ProtectSystem=strict
{writable}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
"""


@dataclass(frozen=True)
class Unit:
    """A unit file: its path and its text."""

    path: str
    text: str
    is_system: bool

    @property
    def systemctl(self) -> list[str]:
        """The command line of systemctl for the manager that the unit is for."""
        return ["systemctl"] if self.is_system else ["systemctl", "--user"]


def system_unit(command: Sequence[str], *, user: str, writable: Iterable[str], jobs: int) -> Unit:
    """Return the system unit.

    Parameters
    ----------
    command : sequence of str
        The command line of the service.
    user : str
        The user to run it as.
    writable : iterable of str
        Folders it has to write to: roots, the folder of the database.
    jobs : int
        Number of worker processes.
    """
    # The dash: a missing folder, for example of an unplugged disk, does not prevent the start.
    places = "\n".join(f"ReadWritePaths={_quoted(f'-{path}')}" for path in dict.fromkeys(writable))
    text = _common(command, jobs, after="After=local-fs.target remote-fs.target\n") + _SYSTEM.format(
        user=user, writable=places
    )
    return Unit(os.path.join(SYSTEM_FOLDER, NAME), f"{text}\n[Install]\nWantedBy=multi-user.target\n", True)


def user_unit(command: Sequence[str], *, jobs: int) -> Unit:
    """Return the unit for the current user's own manager."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    text = f"{_common(command, jobs)}\n[Install]\nWantedBy=default.target\n"
    return Unit(os.path.join(config, "systemd", "user", NAME), text, False)


def write(unit: Unit) -> None:
    """Write a unit file.

    Raises
    ------
    GenrifyError
        If it cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(unit.path), exist_ok=True)
        open_files.write_file(unit.path, unit.text.encode(errors="surrogateescape"))
    except PermissionError as error:
        raise GenrifyError("no permission to write it", path=unit.path, hint="run it with sudo") from error
    except OSError as error:
        raise GenrifyError(f"cannot be written: {error.strerror}", path=unit.path) from error


def remove(unit: Unit) -> bool:
    """Delete a unit file; False if there is none.

    Raises
    ------
    GenrifyError
        If it cannot be written.
    """
    try:
        os.unlink(unit.path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise GenrifyError(f"cannot be removed: {error.strerror}", path=unit.path, hint="run it with sudo") from error
    return True


def systemd_runs() -> bool:
    """Whether systemd is the init system (see sd_booted(3))."""
    return os.path.isdir("/run/systemd/system") and shutil.which("systemctl") is not None


def alternatives(command: Sequence[str]) -> str:
    """Return how else to start the service on a system without systemd."""
    return (
        "start it in another way: as a service of OpenRC, runit, s6 or launchd, as the command of a container, "
        f"or by the line '@reboot {' '.join(command)}' in your crontab (crontab -e)"
    )


def call(unit: Unit, *arguments: str) -> None:
    """Run a systemctl command.

    Raises
    ------
    GenrifyError
        If it fails.
    """
    done = subprocess.run([*unit.systemctl, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise GenrifyError(f"systemctl {' '.join(arguments)} failed: {words[-1] if words else done.returncode}")


def ask(unit: Unit, question: str) -> str:
    """Return systemd's answer to "is-enabled" or "is-active"."""
    done = subprocess.run([*unit.systemctl, question, NAME], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).strip().splitlines()
    return words[0] if words else "unknown"


def _common(command: Sequence[str], jobs: int, *, after: str = "") -> str:
    memory = 512 + 768 * jobs  # the service, and the most that each worker process may use
    line = _command_line(command)
    return _COMMON.format(command=line, after=after, memory=memory, memory_max=memory + 512)


def _command_line(words: Sequence[str]) -> str:
    """Return the value of ExecStart=, where `$` in all words but the first would stand for a variable."""
    return " ".join([*map(_quoted, words[:1]), *(_quoted(word.replace("$", "$$")) for word in words[1:])])


def _quoted(text: str) -> str:
    """Return one word of a unit file, escaped and quoted as needed, without specifiers.

    Raises
    ------
    GenrifyError
        If a unit file cannot hold it: those are UTF-8, with one line per setting.
    """
    if any((c < " " and c != "\t") or "\ud800" <= c <= "\udfff" for c in text):
        raise GenrifyError("a unit file cannot hold this name", path=text, hint="rename it without control characters")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if escaped != text or any(c.isspace() or c in "';" for c in text) else text
