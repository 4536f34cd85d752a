import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import media
from tests.in_process import InProcessProgram
from tests.program import Program

pytest_plugins = ["tests.beets_fixtures"]

# Started in the background by a script, this process ignores Ctrl-C, and what it starts would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    with contextlib.nullcontext() if media.CACHE in os.environ else media.shared_cache():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("torture") is not None:
            item.add_marker(pytest.mark.timeout(0))  # these take as long as they take


@pytest.fixture
def program(tmp_path_factory) -> Program:
    """Return the installed program, started anew for each command."""
    return Program(Path(tmp_path_factory.mktemp("home")))


@pytest.fixture
def command_line(tmp_path_factory) -> InProcessProgram:
    """Return the program's command line within this process: the same, without the starts."""
    return InProcessProgram(Path(tmp_path_factory.mktemp("home")))
