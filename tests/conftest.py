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


# Long, or sensitive to what else the machine does: run with -m torture until each has been timed on an idle machine.
ON_DEMAND = (
    "tests/torture/",
    "tests/test_bad_input.py",
    "tests/test_workers.py::test_a_process_that_died_between_two_files_is_replaced",
)


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.nodeid.startswith(ON_DEMAND):
        item.add_marker(pytest.mark.torture)
