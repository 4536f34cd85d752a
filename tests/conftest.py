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

# Begun first, so that no process is left alone with one of them at the end. Those that mostly wait, for a settle time,
# a lease or a time limit, stand between those that compute: the two kinds run beside each other.
LONG_FILES = (
    "test_watch.py",
    "test_hostile.py",
    "test_network_faults.py",
    "test_kill.py",
    "test_cli_workbench.py",
    "test_watch_roots.py",
    "test_beets_plugin.py",
    "test_cluster.py",
    "test_watch_manners.py",
    "test_training_user_model.py",
    "test_faults.py",
    "test_web_browser.py",
    "test_shared_database.py",
    "test_web_api.py",
    "test_moves_mounts.py",
    "test_beets_import.py",
    "test_training_reference_study_features.py",
    "test_container.py",
    "test_learn.py",
    "test_other_runs.py",
    "test_learn_renew.py",
    "test_tags_safety.py",
    "test_tags_corpus.py",
    "test_web_safety.py",
    "test_moves.py",
    "test_scan.py",
    "test_packaging.py",
    "test_tree_guard.py",
    "test_database.py",
    "test_training_reference_study_models.py",
    "test_recipe_genre_head.py",
    "test_cli_homes.py",
    "test_signals.py",
    "test_watch_storm.py",
    "test_watch_postgres.py",
    "test_incomplete.py",
    "test_bad_input.py",
    "test_workers.py",
)

# Started in the background by a script, this process ignores Ctrl-C, and what it starts would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    with contextlib.nullcontext() if media.CACHE in os.environ else media.shared_cache():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
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
