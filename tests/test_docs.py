"""The documentation builds without a warning: links and anchors lead somewhere, pages are in the navigation."""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genrify_tagger.cli import COMMANDS
from genrify_tagger.config import declared
from genrify_tagger.web.openapi import document
from tests import media
from tests.browser import DESKTOP, PHONE, browsing, dress, need_browser, until

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


# --- results for programs ---

OUTPUT = (ROOT / "docs/reference/output.md").read_text("utf-8")


def documented(command):
    """Return the fields in a row of the page's table of commands."""
    cells = next(line for line in OUTPUT.splitlines() if line.startswith(f"| {command} |")).split("|")
    return {"schema", *re.findall(r"`(\w+)`", cells[2])}


def test_the_fields_of_results_are_described(program, tmp_path):
    shutil.copy(media.CLASSICAL, tmp_path / "dance.ogg")
    (result,) = program.scan(tmp_path)
    rows = re.findall(r"^\| (`[^|]+) \|", OUTPUT.partition("### Results")[2].partition("###")[0], re.M)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) - {"path_bytes", "evidence"} == set(result)
    for command, arguments in (
        ("`history`", ["history", "--format", "jsonl"]),
        ("`history RUN`, `history --path`", ["history", "1", "--format", "jsonl"]),
        ("`export`", ["export", "--format", "jsonl"]),
        ("`status --list STATUS --format json`", ["status", "--list", "tagged", "--format", "json"]),
    ):
        (line,) = program(*arguments).stdout.splitlines()
        assert set(json.loads(line)) == documented(command)


# --- in a browser ---


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    need_browser()
    with browsing(str(tmp_path_factory.mktemp("profile"))) as running:
        yield running


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(QuietHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing: what a request answers is seen in the browser."""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_part_of_a_setting_s_name_finds_it(browser, address, size, dark):
    dress(browser, size=size, dark=dark)
    browser.get("about:blank")
    browser.get(address)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    light = browser.execute_script("return getComputedStyle(document.body).getPropertyValue('color-scheme')") != "dark"
    assert light != dark
    if size == PHONE:
        browser.find_element("css selector", "label[for=__search]").click()
    until(lambda: browser.find_element("css selector", ".md-search__input").is_displayed())
    browser.find_element("css selector", ".md-search__input").send_keys("hardlinks")
    found = until(lambda: [e.text for e in browser.find_elements("css selector", ".md-search-result__article h2")])
    assert found[0] == "tagging.hardlinks"
    others = (
        "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith(location.origin))"
    )
    assert browser.execute_script(others) == []
