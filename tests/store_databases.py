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

import pytest
from sqlalchemy import NullPool, create_engine

from tests.media import in_ci

ROOT = Path(__file__).parent.parent
NOBODY = 65534
_numbers = itertools.count(1)


BACKENDS = ("sqlite", "postgresql")


def new_url(backend: str, folder: Path) -> str:
    """Return the URL of a database that does not exist yet, or is empty."""
    return sqlite_url(folder) if backend == "sqlite" else new_postgres_url()


def sqlite_url(folder: Path, name: str = "genrify.db") -> str:
    return f"sqlite:///{folder / name}"


@contextmanager
def _postgres_server() -> Iterator[str]:
    """Run a server while the block lasts and give the URL of its first database."""
    programs = _postgres_programs()
    folder = tempfile.mkdtemp(prefix="genrify-pg-", dir="/tmp")  # short: a socket's path has at most 107 bytes
    try:
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(folder, NOBODY, NOBODY)
        _unprivileged(folder, f"{programs}/initdb", "-D", f"{folder}/data", "-U", "tagger", "-A", "trust", "-N")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
        server = (f"{programs}/pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log")
        _unprivileged(folder, *server, "-o", options, "start")
        try:
            yield f"postgresql+psycopg://tagger@/postgres?host={folder}"
        finally:
            _unprivileged(folder, *server, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _server_url() -> str:
    """Start the one server of this test run; it ends with it."""
    server = ExitStack()
    url = server.enter_context(_postgres_server())
    atexit.register(server.close)
    return url


def new_postgres_url() -> str:
    """Create an empty database on the server and return its URL."""
    server_url = _server_url()
    name = f"t{next(_numbers)}"
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return server_url.replace("/postgres?", f"/{name}?")


def _postgres_programs() -> str:
    found = shutil.which("initdb")
    folders = [os.path.dirname(os.path.realpath(found))] if found else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders:
        _missing("PostgreSQL's initdb is not installed")
    if importlib.util.find_spec("psycopg") is None:
        _missing("psycopg is not installed")
    return folders[-1]


def _missing(reason: str) -> None:
    if in_ci():
        pytest.fail(reason)
    pytest.skip(reason)


def _unprivileged(folder: str, *command: str) -> None:
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    # The server inherits the output and lives on: a pipe would never end.
    with open(f"{folder}.out", "w+") as output:
        done = subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False, **user)
        output.seek(0)
        told = output.read()
    os.unlink(f"{folder}.out")
    assert done.returncode == 0, told
