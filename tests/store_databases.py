"""Databases for the tests of the store: SQLite files, and a private PostgreSQL server on a Unix socket."""

from __future__ import annotations

import atexit
import functools
import glob
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine

from tests.media import missing

ROOT = Path(__file__).parent.parent
NOBODY = 65534
_numbers = itertools.count(1)


BACKENDS = ("sqlite", "postgresql")


def new_url(backend: str, folder: Path) -> str:
    """Return the URL of a database that does not exist yet, or is empty."""
    return sqlite_url(folder) if backend == "sqlite" else new_postgres_url()


def sqlite_url(folder: Path, name: str = "genrify.db") -> str:
    return f"sqlite:///{folder / name}"


class PostgresServer:
    """A PostgreSQL server and its files, in a new folder of its own.

    Parameters
    ----------
    enter : tuple of str
        The start of a command that runs another one as root in the server's network namespace, if it has one.
    address : str
        The address to listen on, too; besides, there is a Unix socket, without passwords.
    password : str
        Of the user "tagger" at that address.
    settings : str
        More of the server's options.
    """

    def __init__(
        self, enter: tuple[str, ...] = (), *, address: str = "", password: str = "", settings: str = "-c fsync=off"
    ) -> None:
        self._programs = _postgres_programs()
        self._enter = (*enter, "--setuid", str(NOBODY), "--setgid", str(NOBODY)) if enter else ()
        self.folder = tempfile.mkdtemp(prefix="genrify-pg-", dir="/tmp")  # short: a socket's path has at most 107 bytes
        self._options = f"-k {self.folder} -c listen_addresses='{address}' -c max_connections=40 {settings}"
        self.url = f"postgresql+psycopg://tagger@/postgres?host={self.folder}"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(self.folder, NOBODY, NOBODY)
        secret = Path(self.folder, "password")
        secret.write_text(password or "unused")
        secret.chmod(0o644)
        logins = ("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}")
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "tagger", "-N", *logins)
        with open(f"{self.folder}/data/pg_hba.conf", "a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def start(self) -> None:
        self._control("-o", self._options, "start")

    def restart(self, mode: str) -> None:
        """Restart it; the mode "immediate" is what a crash leaves."""
        self._control("-m", mode, "-o", self._options, "restart")

    def new_url(self) -> str:
        """Create an empty database and return its URL."""
        name = f"t{next(_numbers)}"
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres?", f"/{name}?")

    def close(self) -> None:
        """Stop it and remove its files."""
        try:
            self._control("-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *command: str) -> None:
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", *command)

    def _run(self, program: str, *arguments: str) -> None:
        user = {} if os.geteuid() or self._enter else {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        # The server inherits the output and lives on: a pipe would never end.
        with open(f"{self.folder}.out", "w+") as output:
            command = [*self._enter, f"{self._programs}/{program}", *arguments]
            done = subprocess.run(command, cwd=self.folder, stdout=output, stderr=output, check=False, **user)
            output.seek(0)
            told = output.read()
        os.unlink(f"{self.folder}.out")
        assert done.returncode == 0, told


@contextmanager
def postgres_server(*arguments: Any, **options: Any) -> Iterator[PostgresServer]:
    """Run a server while the block lasts; see `PostgresServer`."""
    server = PostgresServer(*arguments, **options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@functools.cache
def _shared_server() -> PostgresServer:
    """Start the one server of this test run that most tests use; it ends with it."""
    server = ExitStack()
    atexit.register(server.close)
    return server.enter_context(postgres_server())


def new_postgres_url() -> str:
    """Create an empty database on the shared server and return its URL."""
    return _shared_server().new_url()


def _postgres_programs() -> str:
    found = shutil.which("initdb")
    folders = [os.path.dirname(os.path.realpath(found))] if found else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders:
        missing("PostgreSQL's initdb is not installed")
    if importlib.util.find_spec("psycopg") is None:
        missing("psycopg is not installed")
    return folders[-1]
