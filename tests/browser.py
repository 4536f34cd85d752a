"""A real browser: Debian's Chromium, driven by Selenium, with a fresh profile."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import pytest

from tests import media

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--force-device-scale-factor=1", "--hide-scrollbars", "--lang=en"),
)
PATIENCE = 30.0
DESKTOP, PHONE = (1280, 900), (390, 844)


def need_browser() -> tuple[str, str]:
    """Return the paths of Chromium and its driver; without them skip on a user's machine and fail in CI."""
    if importlib.util.find_spec("selenium") is None:
        if media.in_ci():
            pytest.fail("selenium is missing in CI")
        pytest.skip("selenium is not installed")
    return next(
        (found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None
    ) or media.need("chromium"), media.need("chromedriver")


@contextmanager
def browsing(profile: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Iterator[Any]:
    """Run a browser with a fresh profile for as long as the block lasts."""
    chromium, driver = need_browser()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        dress(browser, size=size, dark=dark)
        yield browser
    finally:
        browser.quit()


def dress(browser: Any, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
    """Give the window a size and the colours of day or night."""
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size[0] < 600})


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until a condition holds and return its value."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if value := condition():
                return value
        except (NoSuchElementException, StaleElementReferenceException):
            pass
        assert time.monotonic() < deadline, what or "it did not come true"
        time.sleep(0.05)


def axe_script() -> str:
    """Return axe-core's source, from whichever Python package brings it."""
    for package, path in (
        ("axe_core_python", "axe.min.js"),
        ("axe_selenium_python", "node_modules/axe-core/axe.min.js"),
    ):
        if importlib.util.find_spec(package) is not None:
            return resources.files(package).joinpath(path).read_text("utf-8")
    if media.in_ci():
        pytest.fail("axe-core is missing in CI")
    pytest.skip("axe-core is not installed")


def faults(browser: Any) -> list[str]:
    """Return what axe-core finds against WCAG 2.1 A and AA, and its best practices that are serious."""
    browser.execute_script(axe_script())
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations']})"
        ".then((r) => done(r.violations), (e) => done([{id: String(e)}]));"
    )
    return [
        f"{one['id']} ({one.get('impact')}): {node['html'][:150]}"
        for one in found
        for node in one.get("nodes", [{"html": "?"}])
        if one.get("impact") in {"serious", "critical", None}
        or any(tag.startswith("wcag") for tag in one.get("tags", []))
    ]
