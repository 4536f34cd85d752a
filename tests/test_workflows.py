"""The workflows that test and publish: what GitHub would refuse, what is unsafe, and what they have to agree on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import media

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs(name):
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("dependabot", [ROOT / ".github/dependabot.yml"]),
        ("compose-spec", [ROOT / "compose.yaml"]),
    ],
)
def test_they_are_what_their_reader_expects(schema, files):
    media.need_module("check_jsonschema")
    media.run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def test_they_are_safe():
    zizmor = media.need("zizmor")
    done = subprocess.run([zizmor, "--offline", "--no-progress", ROOT / ".github"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_supported_version_of_python_is_tested():
    declared = re.search('requires-python = ">=3.(.*)"', (ROOT / "pyproject.toml").read_text()).group(1)
    supported = [f"3.{minor}" for minor in range(int(declared), 15)]
    for job in ("linux", "elsewhere"):
        assert jobs("test")[job]["strategy"]["matrix"]["python"] == supported


def test_nothing_is_published_that_was_not_tested():
    release = jobs("release")

    def before(job):
        needed = release[job].get("needs", [])
        direct = {needed} if isinstance(needed, str) else set(needed)
        return direct.union(*map(before, direct))

    assert before("pypi") >= {"version", "test", "build"}
    assert before("container") >= {"version", "test"}
    assert before("release") >= {"pypi", "container"}
    assert {job for job in release if "id-token" in release[job].get("permissions", {})} == {"pypi"}
