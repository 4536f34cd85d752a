"""What MkDocs needs beyond `mkdocs.yml`: texts made from the code, and files that stand outside ``docs/``.

Links in the pages are those of the repository, so that they work there, too. A link to a file outside ``docs/`` becomes
a link to a page of the site (`PAGES`), or to a copy of the file below ``files/``.
"""

from __future__ import annotations

import os.path
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from reference_pages import GENERATED

ROOT = Path(__file__).parent.parent

#: Pages of the site that stand elsewhere in the repository.
PAGES = {
    "CONTRIBUTING.md": "developers/contributing.md",
    "CHANGELOG.md": "changelog.md",
    "models/MODEL_CARD.md": "developers/model-card.md",
    "models/recipe/README.md": "developers/recipe.md",
}
MARK = re.compile(r"<!-- generated: ([\w ]+) -->")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files from outside ``docs/``."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    for source in sorted({target for file in files.documentation_pages() for target in _outside(file)}):
        files.append(File.generated(config, f"files/{source}", abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the repository's links into the site's, and put the generated texts in place of their marks."""
    source = _source(page.file)
    folder = posixpath.dirname(page.file.src_uri)

    def to_site(link: re.Match[str]) -> str:
        return posixpath.relpath(_in_site(source, link[1]), folder or ".")

    def to_text(mark: re.Match[str]) -> str:
        if mark[1] not in GENERATED:
            raise PluginError(f"{source}: nothing generates '{mark[1]}'")
        return GENERATED[mark[1]]()

    return MARK.sub(to_text, LINK.sub(to_site, markdown))


def _source(file: File) -> str:
    """Return a page's path in the repository."""
    return {page: source for source, page in PAGES.items()}.get(file.src_uri, f"docs/{file.src_uri}")


def _target(source: str, link: str) -> str:
    """Return the path in the repository that a link leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _in_site(source: str, link: str) -> str:
    """Return the path below ``docs/`` that a link leads to."""
    target = _target(source, link)
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return PAGES.get(target, f"files/{target}")


def _outside(file: File) -> set[str]:
    """Return the files outside ``docs/`` that a page links to, apart from pages of the site."""
    source = _source(file)
    linked = {_target(source, link) for link in LINK.findall(file.content_string)}
    return {path for path in linked - set(PAGES) if not path.startswith("docs/") and os.path.isfile(ROOT / path)}
