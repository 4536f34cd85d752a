"""README agrees with the program: settings, commands, set-up lines."""

import re
from pathlib import Path

from genrify_tagger.cli import COMMANDS
from genrify_tagger.config import settings_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_settings_table_is_the_generated_one():
    assert not [line for line in settings_table().splitlines() if line not in README]


def test_every_command_is_listed():
    commands = {name for part in COMMANDS.values() for name in part}
    named = set(re.findall(r"genrify-tag ([a-z]+)", README))
    assert commands <= named
    assert named - commands <= {"command"}


def test_ci_runs_exactly_the_test_command_of_readme():
    line = next(line for line in README.splitlines() if "pip install -e '.[dev]'" in line)
    test_command = line.rpartition("&& ")[2]
    install = "pip install -e '.[dev]'"
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert ci[-1] == test_command
    assert any(step.endswith(install.removeprefix("pip install ")) for step in ci)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
