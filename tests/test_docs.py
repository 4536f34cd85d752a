"""The documentation builds without a warning: links and anchors lead somewhere, pages are in the navigation."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genrify_tagger.cli import COMMANDS
from genrify_tagger.config import declared
from genrify_tagger.web.openapi import document

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not os.environ.get("CI"):
        pytest.importorskip("mkdocs")
    target = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", target],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return target


def page(site, name):
    return (site / name / "index.html").read_text("utf-8")


def test_every_command_has_a_section(site):
    text = page(site, "reference/commands")
    for part in COMMANDS.values():
        for name in part:
            assert f'id="{name}"' in text
    assert 'id="db-prune"' in text and "--min-confidence 0..1" in text


def test_every_setting_has_a_section(site):
    text = page(site, "reference/settings")
    for setting in declared().values():
        assert f'id="{setting.name}"' in text and setting.variable in text


def test_every_operation_of_the_http_api_is_described(site):
    text = page(site, "reference/http-api")
    for path, item in document()["paths"].items():
        for method in set(item) - {"parameters"}:
            assert f"{method.upper()} {path}" in text


def test_no_mark_is_left(site):
    assert not [path for path in site.rglob("*.html") if "<!-- generated" in path.read_text("utf-8")]


def test_readers_fetch_nothing_from_other_hosts(site):
    fetched = re.compile(
        r'<(?:script|img|iframe|source)[^>]*\ssrc="?(https?:)?//|<link[^>]*rel="?(?:stylesheet|preconnect)"?[^>]*href="?(https?:)?//'
    )
    assert not [path for path in site.rglob("*.html") if fetched.search(path.read_text("utf-8"))]
