"""The frame of the command line: help, errors, exit statuses, output, logs, and the small commands."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest
from rich.text import Text

from genrify_tagger import __version__, errors
from genrify_tagger.cli import COMMANDS, cli, main
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import make_console, table, write_json, write_line
from genrify_tagger.config import settings_template
from genrify_tagger.files import counted
from tests.media import need

RUN = [sys.executable, "-m", "genrify_tagger"]


@pytest.fixture
def environ(tmp_path):
    """An environment without settings, with a home of its own."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("GENRIFY_", "XDG_", "LC_", "LANG", "PYTHONUN"))}
    return {**kept, "HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def run(environ, tmp_path):
    def run(*args, **more):
        more = {"env": environ, "cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60, **more}
        return subprocess.run([*RUN, *args], check=False, **more)

    return run


def all_commands():
    """Return the name and command of every command and subcommand that is there."""
    found = []
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]
    return found


# --- help ---


def test_help_lists_every_command_in_order(run):
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.index(f"\n  {name} ") for part in COMMANDS.values() for name in part]
    assert places == sorted(places)
    for part in COMMANDS.values():
        for line in part.values():
            assert line in done.stdout


@pytest.mark.parametrize("name", [name for part in COMMANDS.values() for name in part])
def test_a_commands_short_help_is_its_own_first_line(name):
    command = importlib.import_module(f"genrify_tagger.cli.{name}").command
    lines = {n: line for part in COMMANDS.values() for n, line in part.items()}
    assert (command.help or "").strip().splitlines()[0] == lines[name]


def test_every_command_has_examples_and_explains_its_options():
    assert re.search(r"Examples:\n +genrify-tag ", cli.help or "")
    for name, command in all_commands():
        text = command.help or ""
        assert re.search(r"Examples:\n +\S", text), name
        assert f"genrify-tag {name}" in text, name
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"


def test_every_command_takes_verbose_and_quiet():
    for name, command in all_commands():
        if not isinstance(command, click.Group):
            names = {flag for parameter in command.params for flag in parameter.opts}
            assert {"-v", "--verbose", "-q", "--quiet", "--config", "--database", "--log-format"} <= names, name


def test_version(run):
    assert run("--version").stdout == f"genrify-tag {__version__}\n"


def test_the_installed_program_is_this_one(environ):
    program = os.path.join(os.path.dirname(sys.executable), "genrify-tag")
    if not os.path.exists(program):
        pytest.skip("the package is not installed beside this Python")
    done = subprocess.run([program, "--version"], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"genrify-tag {__version__}\n"


# --- wrong usage ---


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["scn"], "no such command 'scn'; did you mean 'scan'? (see 'genrify-tag --help')"),
        (["xyzzy"], "no such command 'xyzzy'; the commands are scan, "),
        (["config", "shwo"], "no such command 'shwo'; did you mean 'show'? (see 'genrify-tag config --help')"),
        (["--nope"], "no such option '--nope' (see 'genrify-tag --help')"),
        (["config", "show", "--format", "xml"], "invalid value for '--format': 'xml' is not one of 'text', 'json'"),
        (["db", "backup"], "missing argument 'DESTINATION' (see 'genrify-tag db backup --help')"),
        (["config", "path", "-q", "-v"], "choose --verbose or --quiet (see 'genrify-tag config path --help')"),
        (["-q", "config", "path", "-v"], "choose --verbose or --quiet (see 'genrify-tag config path --help')"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run, args, line):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"genrify-tag: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [[], ["config"], ["db"]])
def test_no_command_shows_the_help_and_exits_2(run, args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Examples:" in done.stderr


# --- endings ---


@pytest.fixture
def failing(monkeypatch):
    """Let `genrify-tag completion zsh` raise what the test wants."""
    module = importlib.import_module("genrify_tagger.cli.completion")

    def let(error):
        def raise_it(**_):
            raise error

        monkeypatch.setattr(module.command, "callback", raise_it)

    return let


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.DecodeError("is no audio", path="/m/a\nb.mp3"), 1, r"/m/a\nb.mp3: is no audio"),
        (errors.DecodeError("is no audio", path=os.fsdecode(b"/m/\xe9")), 1, "/m/\ufffd: is no audio"),
        (errors.StoreError("is damaged", hint="try \x1b[1m this"), 1, r"is damaged; try \x1b[1m this"),
        (errors.ConfigError("is wrong"), 2, "is wrong"),
        (errors.InterruptedScanError("stopped"), 130, "stopped"),
        (PermissionError(13, "Permission denied", "/m/x"), 1, "/m/x: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (MemoryError(), 1, "out of memory"),
        (click.ClickException("something"), 1, "something"),
    ],
)
def test_an_error_is_one_line_and_its_exit_status(failing, capsys, error, status, line):
    failing(error)
    assert main(["completion", "zsh"]) == status
    assert capsys.readouterr().err == f"genrify-tag: {line}\n"


def test_an_interrupt_is_exit_130(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["completion", "zsh"]) == 130
    assert capsys.readouterr().err.strip() == "genrify-tag: interrupted"


def test_errors_are_json_if_logs_are(failing, capsys):
    failing(errors.DecodeError("is no audio", path=os.fsdecode(b"/m/\xe9")))
    assert main(["--log-format", "json", "completion", "zsh"]) == 1
    assert json.loads(capsys.readouterr().err) == {
        "level": "error",
        "logger": "genrify_tagger",
        "message": "is no audio",
        "path": "/m/\ufffd",
        "path_bytes": "L20v6Q==",
    }


def test_an_unexpected_error_says_where_its_details_are(failing, capsys, tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    failing(KeyError("x\ny"))
    assert main(["completion", "zsh"]) == 1
    text = capsys.readouterr().err
    assert re.match(r"genrify-tag: unexpected error: KeyError: .* \(details in (.*)\)\n$", text)
    kept = Path(re.search(r"details in (.*)\)", text)[1])
    assert tmp_path in kept.parents
    assert "raise error" in kept.read_text()


def test_an_unexpected_error_shows_its_traceback_with_verbose(failing, capsys):
    failing(KeyError("x"))
    assert main(["--verbose", "completion", "zsh"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.splitlines()[-1] == "genrify-tag: unexpected error: KeyError: 'x'"


def test_an_unexpected_error_in_a_thread_is_one_line(monkeypatch, capsys):
    def command(**_: object) -> None:
        thread = threading.Thread(target=lambda: [][0])
        thread.start()
        thread.join()

    monkeypatch.setattr(importlib.import_module("genrify_tagger.cli.completion").command, "callback", command)
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().err
    assert re.fullmatch(r"genrify-tag: unexpected error: IndexError: list index out of range \(details in .*\)\n", text)


def test_a_commands_number_is_the_exit_status(monkeypatch):
    module = importlib.import_module("genrify_tagger.cli.completion")
    for given, status in [(None, 0), (0, 0), (1, 1), (True, 1)]:
        monkeypatch.setattr(module.command, "callback", lambda given=given, **_: given)
        assert main(["completion", "zsh"]) == status


def test_a_closed_pipe_gives_no_traceback(environ):
    program = [*RUN, "completion", "zsh"]
    with subprocess.Popen(program, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


def test_a_full_disk_is_reported(run):
    with open("/dev/full", "w") as full:
        done = run("--help", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, "genrify-tag: No space left on device\n")


def test_closed_outputs_give_no_traceback(environ):
    for closing in (">&-", "2>&-", ">&- 2>&-"):
        line = f'"{sys.executable}" -m genrify_tagger config path {closing}'
        done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_a_real_process_with_130(environ, tmp_path):
    os.mkfifo(tmp_path / "settings")  # opening it waits for a writer
    program = [*RUN, "--config", str(tmp_path / "settings"), "config", "show"]
    with subprocess.Popen(program, env=environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not waits_for_writer(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "genrify-tag: interrupted"


def waits_for_writer(pid):
    """Whether a process sleeps in opening a pipe; where the kernel does not tell, whether it has had time to."""
    try:
        return "wait_for_partner" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        time.sleep(2)
        return True


# --- global options ---


@pytest.mark.parametrize("args", [["-v", "--database", "a.db", "x"], ["x", "-v", "--database", "a.db"]])
def test_global_options_work_before_and_after_the_command(args):
    seen = []

    @click.group()
    @click.pass_context
    def outer(ctx):
        pass

    @outer.command()
    @click.option("--number", type=int)
    @click.pass_obj
    @common_options
    def x(state, number):
        seen.append((state.verbose, state.quiet, state.database, state.settings().database.url, number))

    from genrify_tagger.cli.context import global_options

    global_options(hidden=False)(outer)
    outer.main([*args, *(["--number", "3"] if args[-1] != "x" else [])], standalone_mode=False, obj=CliContext())
    assert seen[0][:3] == (True, False, "a.db")
    assert seen[0][3] == f"sqlite:///{os.getcwd()}/a.db"


def test_the_rare_global_options_are_not_repeated_in_a_commands_help(run):
    text = run("config", "path", "--help").stdout
    assert "--verbose" in text
    assert "--log-format" not in text


def test_config_database_and_environment_reach_the_settings(run, tmp_path, environ):
    (tmp_path / "c.toml").write_text("[web]\nport = 7\n")
    environ["GENRIFY_WEB__HOST"] = "::1"
    done = run("config", "show", "--format", "json", "--config", "c.toml", "--database", "x.db")
    shown = json.loads(done.stdout)
    assert shown["web"]["port"] == {"value": 7, "origin": f"{tmp_path}/c.toml:2"}
    assert shown["web"]["host"] == {"value": "::1", "origin": "GENRIFY_WEB__HOST"}
    assert shown["database"]["url"] == {"value": f"sqlite:///{tmp_path}/x.db", "origin": "command line"}


# --- config ---


def test_config_init_path_and_show(run, tmp_path):
    path = run("config", "path").stdout.strip()
    assert path == f"{tmp_path}/.config/genrify-tagger/config.toml"
    assert run("config", "init").stdout == f"wrote {path}\n"
    assert Path(path).read_text() == settings_template()
    again = run("config", "init")
    assert (again.returncode, again.stderr) == (2, f"genrify-tag: {path}: already exists; --force overwrites it\n")
    Path(path).write_text("[web]\nport = 1\n")
    assert "port = 1 " in run("config", "show").stdout
    assert run("config", "init", "--force").returncode == 0
    assert "port = 8650 " in run("config", "show").stdout


def test_config_init_where_it_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    done = run("config", "init", "--config", "file/c.toml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"genrify-tag: {tmp_path}/file/c.toml: cannot be written: ")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (".config/genrify-tagger/config.toml", ("config", "init", "--force")),
        (".config/systemd/user/genrify-tagger.service", ("service", "install", "--no-start")),
    ],
)
def test_what_does_not_fit_on_the_disk_leaves_the_former_file(run, environ, tmp_path, name, arguments):
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    environ |= {"GENRIFY_LIBRARY__ROOTS": f'["{tmp_path}"]'}
    done = run(*arguments, env=environ, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)))
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines()[-1].startswith(f"genrify-tag: {file}: cannot be written: ")
    assert file.read_text() == "# mine\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_wrong_setting_is_one_line_and_exit_2(run, tmp_path):
    (tmp_path / "c.toml").write_text("[tagging]\nexisting = 'kep'\n")
    done = run("config", "show", "--config", "c.toml")
    line = f'genrify-tag: {tmp_path}/c.toml: line 2: tagging.existing must be "keep", "merge" or "replace", not "kep"\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


# --- db ---


@pytest.fixture
def here(environ, tmp_path, monkeypatch, capsys):
    """Run the program in this process: what uses the database takes long to import."""
    for name in [n for n in os.environ if n not in environ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def here(*args):
        status = main(args)
        told = capsys.readouterr()
        return subprocess.CompletedProcess(args, status, told.out, told.err)

    return here


READING = (
    *(["db", "check"], ["db", "backup", "copy.db"], ["db", "prune"]),
    *(["export"], ["history"], ["status"], ["undo"]),
    *(["similar", __file__], ["show", __file__]),
)


@pytest.mark.parametrize("args", READING, ids=lambda args: " ".join(args[:2]) if args[0] == "db" else args[0])
def test_commands_that_only_read_create_no_database(here, tmp_path, args):
    done = here(*args, "--database", "folder/none.db")
    told = done.stdout + done.stderr
    assert (done.returncode, told.count("\n")) == (1, 1)
    assert f"{tmp_path}/folder/none.db" in told and "no database" in told
    assert list(tmp_path.iterdir()) == []


def test_before_the_first_scan_there_is_nothing_to_see_and_no_database_is_made(here, tmp_path):
    assert "Nothing scanned yet" in here("status").stdout
    assert here("history").stdout == "No changes yet.\n"
    assert here("export").stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_singular_and_plural():
    assert [counted(n, "file") for n in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]
    assert counted(1, "change was", "changes were") == "1 change was"
    assert counted(3, "change was", "changes were") == "3 changes were"


def test_db_check_backup_and_prune(here, tmp_path):
    from genrify_tagger.store import open_store

    with open_store(f"sqlite:///{tmp_path}/a.db"):
        pass
    database = ("--database", "a.db")
    assert here("db", "check", *database).stdout == "no problems found\n"
    assert here("db", "backup", "b.db", *database).stdout == "wrote b.db\n"
    os.mkdir(tmp_path / "backups")
    into = here("db", "backup", "backups", *database)
    assert re.fullmatch(r"wrote backups/genrify-\d{8}-\d{6}\.db\n", into.stdout)
    for copy in (tmp_path / "b.db", *(tmp_path / "backups").iterdir()):
        assert here("db", "check", "--database", str(copy)).returncode == 0
        with sqlite3.connect(copy) as connection:
            assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        connection.close()
    assert here("db", "prune", *database).stdout == "removed 0 missing files and 0 analyses no longer in use\n"
    mistyped = here("db", "prune", "nowhere", *database)
    assert mistyped.returncode == 1 and "no such file or folder, neither on disk nor in the database" in mistyped.stderr
    again = here("db", "backup", "b.db", *database)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    dry = here("db", "prune", "--dry-run", *database).stdout
    assert dry == "would remove 0 missing files and 0 analyses no longer in use\n"
    assert here("db", "prune", *database).stdout == "removed 0 missing files and 0 analyses no longer in use\n"


def test_db_check_finds_damage(here, tmp_path):
    (tmp_path / "a.db").write_bytes(b"this is no database, but it is long enough to look like one" * 100)
    done = here("db", "check", "--database", "a.db")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.strip()


# --- completion ---


@pytest.mark.parametrize(("shell", "check"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_completion_prints_a_script_the_shell_understands(run, tmp_path, shell, check):
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_GENRIFY_TAG_COMPLETE" in done.stdout
    program = need(shell) if shell == "bash" else shutil.which(shell)
    if program:
        script = tmp_path / "script"
        script.write_text(done.stdout)
        subprocess.run([program, *check, script], check=True, timeout=30)


def test_bash_completes_commands_and_options(environ, tmp_path):
    """In a real bash, with the real script and the program by its name."""
    program = tmp_path / "bin/genrify-tag"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m genrify_tagger "$@"\n')
    program.chmod(0o755)
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    script = """
        eval "$(genrify-tag completion bash)"
        COMP_WORDS=(genrify-tag %s); COMP_CWORD=%d
        _genrify_tag_completion genrify-tag; echo "${COMPREPLY[@]}"
    """
    for words, at, expected in [
        ("co", 1, "config completion"),
        ("config s", 2, "show"),
        ("config show --f", 3, "--format"),
    ]:
        done = subprocess.run(
            [need("bash"), "-c", script % (words, at)], env=environ, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")


# --- output ---


def test_a_line_cannot_be_broken_or_colour_the_terminal(capsys):
    write_line("a\nb\x1b[2J\u202e\ud800 ok")
    assert capsys.readouterr().out == "a\\nb\\x1b[2J\\u202e\\ud800 ok\n"


def test_json_is_utf_8_on_one_line_whatever_it_contains(capfdbinary):
    write_json({"a": "Björk\n\x1b\u2028", "b": "broken \udce9"})
    raw = capfdbinary.readouterr().out
    assert raw.count(b"\n") == 1
    assert "Björk".encode() in raw
    assert json.loads(raw) == {"a": "Björk\n\x1b\u2028", "b": "broken \udce9"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_the_terminal_is_an_error(run, environ, tmp_path, encoding):
    environ["PYTHONIOENCODING"] = encoding
    done = run("--config", "ノ/é.toml", "config", "path", text=False)
    # click takes ASCII for a mistake and writes UTF-8.
    written = "utf-8" if encoding == "ascii" else encoding
    expected = f"{tmp_path}/ノ/é.toml\n".encode(written, "backslashreplace")
    assert (done.returncode, done.stdout) == (0, expected)
    done = run("--config", b"\xff.toml", "config", "show", text=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_a_table_is_aligned_by_visible_width():
    lines = table(["name", "n"], [("ノ", "1"), ("a\nb", "10")], right={"n"})
    assert lines == ["name   n", "ノ     1", "a\\nb  10"]


def test_consoles_take_text_as_it_is(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    make_console(stderr=False).print(Text(f"[bold]{'x' * 200} :smile: 12", style="red"))
    assert stream.getvalue() == f"[bold]{'x' * 200} :smile: 12\n"


# --- logs ---


LOGGING = """
import logging, sys, warnings
from genrify_tagger.logs import configure
configure(**{options})
ours, theirs = logging.getLogger("genrify_tagger.x"), logging.getLogger("alembic")
ours.debug("d"); ours.info("i\\nj"); ours.warning("w %s", "\\x1b", extra={{"path": "/m"}})
ours.error("e"); theirs.info("ti"); theirs.warning("tw", exc_info=OSError())
warnings.warn("old", UserWarning)
"""


def logged(options):
    done = subprocess.run(
        [sys.executable, "-c", LOGGING.format(options=options)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["i\\nj", "genrify-tag: warning: w \\x1b", "genrify-tag: error: e", "genrify-tag: warning: tw"]),
        ({"quiet": True}, ["genrify-tag: error: e"]),
    ],
)
def test_text_log_lines(options, expected):
    assert logged(options).splitlines() == expected


def test_verbose_logs_debug_messages():
    lines = logged({"verbose": True}).splitlines()
    assert lines[:2] == ["genrify_tagger.x: d", "i\\nj"]
    assert "ti" not in lines  # of another library
    assert lines[-2] == "OSError"  # the end of what is a traceback in reality
    assert "UserWarning: old" in lines[-1]


def test_json_log_lines():
    entries = [json.loads(line) for line in logged({"log_format": "json"}).splitlines()]
    assert [(e["level"], e["message"]) for e in entries] == [
        ("info", "i\nj"),
        ("warning", "w \x1b"),
        ("error", "e"),
        ("warning", "tw"),
    ]
    assert entries[1]["path"] == "/m"
    assert entries[1]["logger"] == "genrify_tagger.x"
    assert entries[3]["exception"] == "OSError"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entries[0]["time"])
