import signal
from pathlib import Path

import pytest

from tests.program import Program

pytest_plugins = ["tests.beets_fixtures"]

# Started in the background by a script, this process ignores Ctrl-C, and what it starts would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def program(tmp_path_factory) -> Program:
    return Program(Path(tmp_path_factory.mktemp("home")))
