"""Fixtures of the beets tests: an album to import, and a library that has it already, without genres."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.beets_library import Beets, album, need_beets


@pytest.fixture(scope="session")
def master_album(tmp_path_factory):
    need_beets()
    return album(tmp_path_factory.mktemp("master") / "An album")


@pytest.fixture
def incoming(master_album, tmp_path):
    return shutil.copytree(master_album, tmp_path / "incoming" / "An album")


@pytest.fixture(scope="session")
def untouched_library(master_album, tmp_path_factory):
    home = tmp_path_factory.mktemp("untouched")
    beets = Beets(home, plugins=[])
    beets("import", "-A", master_album)
    return home


@pytest.fixture
def beets(untouched_library, tmp_path):
    """A library with the album, without genres, and the plugin."""
    home = shutil.copytree(untouched_library, tmp_path / "home")
    with closing(sqlite3.connect(home / "beets" / "library.db")) as library, library:
        # Older versions of beets keep absolute paths.
        moved = "UPDATE items SET path = CAST(replace(CAST(path AS TEXT), ?, ?) AS BLOB)"
        library.execute(moved, (str(untouched_library), str(home)))
    return Beets(home)
