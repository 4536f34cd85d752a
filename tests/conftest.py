from pathlib import Path

import pytest

from tests.program import Program


@pytest.fixture
def program(tmp_path_factory) -> Program:
    return Program(Path(tmp_path_factory.mktemp("home")))
