"""How to install an extra, such as `web`, from the place that this copy of the program was installed from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_DISTRIBUTION: Final = "genrify-tagger"


def install_command(extra: str) -> str:
    """Return the command that installs an extra into this environment, or what to do where none would work.

    Installers record where a distribution came from (PyPA's "direct URL origin"): a folder, a wheel file, a Git
    repository; without that record it came from an index.
    """
    origin = _origin()
    place = "" if origin is None else _local_path(origin)
    if origin is not None and place and not os.path.exists(place):
        return f"install Genrify Tagger with its extra {extra!r}; {place}, where it was installed from, is gone"
    words = [*_installer(), *_requirement(extra, origin, place)]
    if os.name == "nt":
        return " ".join(f'"{word}"' if set(word) & set(" []@") else word for word in words)
    import shlex

    return shlex.join(words)


def _origin() -> Mapping[str, Any] | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution(_DISTRIBUTION).read_text("direct_url.json")
        found = json.loads(text) if text else None
    except (PackageNotFoundError, ValueError, OSError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("url"), str) else None


def _local_path(origin: Mapping[str, Any]) -> str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(origin["url"])
    if parts.scheme != "file" or "vcs_info" in origin:
        return ""
    host = f"//{parts.netloc}" if parts.netloc not in {"", "localhost"} else ""
    return url2pathname(host + parts.path)


def _requirement(extra: str, origin: Mapping[str, Any] | None, place: str) -> list[str]:
    if origin is None:
        return [f"{_DISTRIBUTION}[{extra}]"]
    if place:
        is_editable = bool(origin.get("dir_info", {}).get("editable"))
        return [*(["-e"] if is_editable else []), f"{place}[{extra}]"]
    url, repository = origin["url"], origin.get("vcs_info")
    if repository:
        revision = repository.get("requested_revision")
        url = f"{repository['vcs']}+{url}" + (f"@{revision}" if revision else "")
    if subdirectory := origin.get("subdirectory"):
        url += f"#subdirectory={subdirectory}"
    return [f"{_DISTRIBUTION}[{extra}] @ {url}"]


def _installer() -> list[str]:
    """Return the program that made this environment and its verb."""
    home = Path(sys.prefix)
    if (home / "pipx_metadata.json").exists():
        return ["pipx", "install", "--force"]
    if (home / "uv-receipt.toml").exists():
        return ["uv", "tool", "install", "--force"]
    if _has_pip():
        is_active = os.environ.get("VIRTUAL_ENV", "") == sys.prefix
        return ["pip", "install"] if is_active else [sys.executable, "-m", "pip", "install"]
    return ["uv", "pip", "install", "--python", sys.executable]


def _has_pip() -> bool:
    import importlib.util

    return importlib.util.find_spec("pip") is not None
