"""Hosts for tests: network namespaces on one switch with a PostgreSQL server, so that cables can be pulled."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.media import missing
from tests.store_databases import PostgresServer, postgres_server

_PROGRAMS = ("ip", "nsenter", "unshare")  # of iproute2 and util-linux
_SERVER, _PASSWORD = 1, "secret"
_BRIDGE = "bridge0"


@dataclass(eq=False)
class Host:
    """A machine of its own to all programs on it: their network, host name and processes are none of others'.

    Attributes
    ----------
    name : str
    number : int
        The last part of its address.
    init : int
        The process with which all others on the host end.
    switch : tuple of str
        The start of a command that is to run in the network of the switch.
    """

    name: str
    number: int
    init: int
    switch: tuple[str, ...]
    _pid_namespace: str = field(init=False)

    def __post_init__(self) -> None:
        self._pid_namespace = _pid_namespace(self.init)

    @property
    def namespace(self) -> tuple[str, ...]:
        """The start of a command that is to run on the host."""
        return ("nsenter", "--pid", "--uts", "--mount", "--net", "--target", str(self.init))

    def command(self, *command: str | bytes | Path) -> list[str]:
        """Return the command that runs another one on the host."""
        return [*self.namespace, *map(os.fsdecode, command)]

    def kill(self) -> None:
        # First those that wait for what they have started here: a PID namespace ends only without zombies.
        for process in (*self._outside(), self.init):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def freeze(self) -> None:
        for process in self._inside():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in (*self._inside(), *self._outside()):  # the latter stop together with what they have started
            os.kill(process, signal.SIGCONT)

    def _inside(self) -> list[int]:
        """Return the host's processes but the first one."""
        return [pid for pid in psutil.pids() if pid != self.init and _pid_namespace(pid) == self._pid_namespace]

    def _outside(self) -> set[int]:
        """Return the processes elsewhere that have started one here."""
        inside = self._inside()
        return {psutil.Process(pid).ppid() for pid in inside} - {self.init, *inside}

    def plug_in(self) -> None:
        _ip(self.namespace, "link set eth0 up")
        _pin(self.namespace, "eth0", _SERVER)

    def unplug(self) -> None:
        """Pull the cable at the host, which notices it: it has no route any more."""
        _ip(self.namespace, "link set eth0 down")

    def connect(self) -> None:
        _ip(self.switch, f"link set port{self.number} master {_BRIDGE}")

    def cut_off(self) -> None:
        """Drop all packets beyond the host's cable: nothing tells it."""
        _ip(self.switch, f"link set port{self.number} nomaster")


class Network:
    """A switch, the database server there, and the hosts that are plugged in."""

    def __init__(self, switch: tuple[str, ...], server: PostgresServer, closing: ExitStack) -> None:
        self.server = server
        self._switch, self._closing, self._last = switch, closing, _SERVER

    def new_urls(self) -> tuple[str, str]:
        """Return the URLs of an empty database: from this process, by a Unix socket, and from a host, by TCP."""
        here = self.server.new_url()
        database = here.partition("?")[0].rpartition("/")[2]
        return here, f"postgresql+psycopg://tagger:{_PASSWORD}@{_address(_SERVER)}:5432/{database}"

    def host(self, name: str) -> Host:
        """Plug in a new host."""
        self._last += 1
        keeper = self._closing.enter_context(_namespaces("--net", "--pid", "--uts", "--mount-proc", name=name))
        host = Host(name, self._last, keeper, self._switch)
        self._closing.callback(host.kill)
        port, peer = f"port{self._last}", f"name eth0 address {_mac(self._last)} netns {keeper}"
        _ip(self._switch, f"link add {port} type veth peer {peer}")
        _ip(self._switch, f"link set {port} master {_BRIDGE} up")
        _ip(host.namespace, f"address add {_address(self._last)}/24 dev eth0")
        _pin(self._switch, _BRIDGE, self._last)
        host.plug_in()
        return host


@contextmanager
def network() -> Iterator[Network]:
    """Make a network with a database server while the block lasts."""
    lacking = [program for program in _PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0 or lacking:
        missing(f"hosts in network namespaces need root and {', '.join(lacking or _PROGRAMS)}")
    with ExitStack() as closing:
        keeper = closing.enter_context(_namespaces("--net"))
        switch = ("nsenter", "--net", "--target", str(keeper))
        _ip(switch, f"link add {_BRIDGE} address {_mac(_SERVER)} type bridge")
        _ip(switch, f"address add {_address(_SERVER)}/24 dev {_BRIDGE}")
        _ip(switch, f"link set {_BRIDGE} up")
        server = closing.enter_context(postgres_server(switch, address=_address(_SERVER), password=_PASSWORD))
        yield Network(switch, server, closing)


@contextmanager
def _namespaces(*kinds: str, name: str = "") -> Iterator[int]:
    """Make namespaces and give their first process; they are gone with the test's process at the latest."""
    keep = ("sh", "-c", 'test -z "$0" || hostname "$0"; ip link set lo up && echo && exec cat', name)
    start = ("unshare", *kinds, "--fork", "--kill-child", *keep)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(start, **pipes) as keeper:
        assert keeper.stdout is not None and keeper.stderr is not None
        if keeper.stdout.readline() != b"\n":
            missing(f"network namespaces are not allowed here: {keeper.stderr.read().decode()}")
        [first] = psutil.Process(keeper.pid).children()
        yield first.pid


def _pid_namespace(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def _pin(namespace: tuple[str, ...], device: str, number: int) -> None:
    """Make an address known for ever: that it gets no answer would tell of a cut, as no router on the way does."""
    _ip(namespace, f"neighbour replace {_address(number)} lladdr {_mac(number)} dev {device} nud permanent")


def _address(number: int) -> str:
    return f"10.77.0.{number}"  # in namespaces of its own, where it collides with nothing


def _mac(number: int) -> str:
    return f"02:00:0a:4d:00:{number:02x}"


def _ip(namespace: tuple[str, ...], arguments: str) -> None:
    done = subprocess.run([*namespace, "ip", *arguments.split()], capture_output=True, text=True, check=False)
    if "Operation not supported" in done.stderr or "Unknown device type" in done.stderr:
        missing(f"ip {arguments}: {done.stderr}")  # the kernel has no bridges or pairs of interfaces
    assert done.returncode == 0, (arguments, done.stderr)
