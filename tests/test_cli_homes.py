"""A user without a home folder, or with one that may not be entered: one line, or success if the paths are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from genrify_tagger.cli import main
from tests import media
from tests.media import need
from tests.workbench import need_library

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
UNKNOWN_UID = 54321
NO_HOME = "genrify-tag: the user has no home folder; set HOME, or use --config FILE (GENRIFY_CONFIG) and --database"


@pytest.fixture
def open_folder():
    """Return a folder that every user may enter and write to; pytest's own belong to one user."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture
def homeless(program, open_folder):
    """Run the program as a user without an entry in the password database and without HOME."""
    if not ROOT:
        pytest.skip("needs root, to become another user")
    become = [f"--reuid={UNKNOWN_UID}", f"--regid={UNKNOWN_UID}", "--clear-groups"]
    capability = "+dac_read_search"  # Python itself may be in a folder of root's
    setpriv = [need("setpriv"), *become, f"--inh-caps={capability}", f"--ambient-caps={capability}"]

    def run(*arguments, **variables):
        environment = {"PATH": os.environ["PATH"], **variables}
        command = [*setpriv, *program.command(*arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=open_folder, check=False)

    return run


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["history"], ["scan", "."], ["undo"], ["watch", "."], ["config", "show"], ["config", "path"]],
    ids=" ".join,
)
def test_a_missing_home_folder_is_one_line_with_a_hint(homeless, open_folder, arguments):
    done = homeless(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(NO_HOME) and done.stderr.count("\n") == 1
    assert os.listdir(open_folder) == []  # above all, no folder named "~"


def test_no_home_folder_is_needed_if_the_database_is_named(homeless, open_folder):
    song = media.make("flac", open_folder / "music")
    os.chown(song, UNKNOWN_UID, UNKNOWN_UID)
    song.parent.chmod(0o777)
    database = open_folder / "library.db"
    done = homeless("scan", song.parent, "--database", database, "--min-confidence", "0")
    assert done.returncode == 0 and "1 tagged" in done.stderr
    shown = homeless("status", GENRIFY_DATABASE__URL=str(database))
    assert shown.returncode == 0 and "tagged" in shown.stdout
    assert homeless("undo", "--database", database).returncode == 0
    assert homeless("--help").returncode == homeless("completion", "bash").returncode == 0


@pytest.fixture
def locked_out(program, tmp_path):
    """Run the program with a HOME below a folder that may not be entered."""
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0)
    drop = [need("setpriv"), "--bounding-set=-dac_override,-dac_read_search,-fowner"] if ROOT else []

    def run(*arguments):
        environment = program.environment(HOME=str(closed / "home"))
        return subprocess.run(
            [*drop, *program.command(*arguments)], capture_output=True, text=True, env=environment, check=False
        )

    yield run
    closed.chmod(0o755)


def test_a_home_that_may_not_be_entered_has_no_settings(locked_out, tmp_path):
    song = media.make("flac", tmp_path / "music")
    done = locked_out("scan", song.parent, "--database", tmp_path / "library.db")
    assert done.returncode == 0 and "1 file" in done.stderr
    warning = done.stderr.splitlines()[0]
    assert warning.startswith("genrify-tag: warning: no settings file: ") and "--config or GENRIFY_CONFIG" in warning
    settings = tmp_path / "settings.toml"
    settings.touch()
    named = locked_out("scan", song.parent, "--database", tmp_path / "library.db", "--config", settings)
    assert named.returncode == 0 and "warning" not in named.stderr
    refused = locked_out("scan", song.parent, "--config", settings)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "name another file with --database, GENRIFY_DATABASE__URL" in refused.stderr


def test_an_unreadable_settings_file_is_an_error(program, tmp_path):
    settings = program.home / ".config/genrify-tagger/config.toml"
    settings.parent.mkdir(parents=True)
    settings.touch()
    settings.chmod(0)
    drop = [need("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if ROOT else []
    done = subprocess.run(
        [*drop, *program.command("status")], capture_output=True, text=True, env=program.environment(), check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"genrify-tag: {settings}: the settings file cannot be read: Permission denied; "
        "make it readable, or name another one with --config or GENRIFY_CONFIG\n"
    )


@pytest.mark.parametrize(
    ("arguments", "way_out"),
    [
        (["scan", "."], "--database, GENRIFY_DATABASE__URL or the setting database.url"),
        (["watch", "."], "--database, GENRIFY_DATABASE__URL or the setting database.url"),
        (["config", "init"], "--config or GENRIFY_CONFIG"),
    ],
    ids=["scan", "watch", "config init"],
)
def test_a_home_that_cannot_be_written_is_told_in_one_line_that_names_the_way_out(homeless, arguments, way_out):
    """As in a container that is run with another user: HOME is the root folder."""
    done = homeless(*arguments, HOME="/")
    assert done.returncode in {1, 2} and done.stderr.count("\n") == 1
    assert done.stderr.startswith("genrify-tag: /.") and done.stderr.rstrip().endswith(way_out)


def test_a_plot_needs_a_home_for_its_cache_only(homeless, open_folder):
    need_library("librosa", "matplotlib")
    song = media.make("flac", open_folder / "music")
    command = ["plot", song, "--panels", "waveform", "-o", open_folder / "song.png", "--database", open_folder / "a.db"]
    refused = homeless(*command)
    assert refused.returncode == 2 and "XDG_CACHE_HOME" in refused.stderr and refused.stderr.count("\n") == 1
    # Compiled before, which takes a quarter of a minute.
    cache = shutil.copytree(os.environ["NUMBA_CACHE_DIR"], open_folder / "cache/genrify-tagger/numba")
    for path in [*cache.rglob("*"), cache]:
        os.chown(path, UNKNOWN_UID, UNKNOWN_UID)
    assert homeless(*command, XDG_CACHE_HOME=str(open_folder / "cache")).returncode == 0
    assert (open_folder / "song.png").exists()


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_unexpected_error_is_reported_even_if_reporting_fails(monkeypatch, capsys):
    def fail(*_):
        raise _UnprintableError

    monkeypatch.setattr("genrify_tagger.cli.completion.get_completion_class", fail)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("platformdirs.user_log_dir", None)
    assert main(["completion", "zsh"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("genrify-tag: unexpected error: ") and "_UnprintableError" in text
    assert text.endswith("(--verbose shows the details)\n") and text.count("\n") == 1
