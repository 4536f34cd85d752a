"""README agrees with the program: genres, commands, set-up lines; and it is short."""

import re
from pathlib import Path

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_it_is_read_in_a_few_minutes():
    assert len(README.split()) <= 900


def test_the_genres_are_those_of_the_shipped_model():
    vocabulary = load_sidecar().vocabularies["tree"]
    text = " ".join(README.partition("## Genres")[2].partition("## ")[0].split())
    written, shown = re.search(r"It writes \*\*(.+?)\*\*\. It also knows (.+?):", text).groups()
    names = dict(vocabulary.names)
    assert set(re.split(r", | and ", written)) == {names[label] for label in vocabulary.writable}
    assert set(re.split(r", | and ", shown)) == set(names.values()) - {names[label] for label in vocabulary.writable}


def test_every_command_that_it_names_exists():
    commands = {name for part in COMMANDS.values() for name in part}
    assert set(re.findall(r"genrify-tag ([a-z]+)", README)) <= commands


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
