"""A real Chromium for tests: own profile, no request of its own, and a log of what it asks for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
)
# Addresses that stay inside the browser.
_INSIDE: Final = ("about", "blob", "chrome", "chrome-extension", "data", "devtools", "file")


def require_browser() -> tuple[str, str]:
    """The programs chromium and chromedriver; the test is skipped without them."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if programs[0] is None or programs[1] is None:
        pytest.skip("chromium and chromium-driver are not installed")
    return programs[0], programs[1]


@contextmanager
def open_browser(
    folder: Path,
    *,
    width: int = 1280,
    height: int = 800,
    is_dark: bool = False,
    flags: Sequence[str] = (),
) -> Iterator[Chrome]:
    """A browser with a page of this size.

    Args:
        folder: gets the profile.
        flags: more of the browser's flags, such as `--host-resolver-rules=MAP a.example 127.0.0.1`.
    """
    chromium, driver = require_browser()
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, *flags, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    if is_dark:
        options.add_argument("--force-dark-mode")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # Selenium would look for a driver on the network otherwise.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")
        patch.setenv("SE_AVOID_STATS", "true")
        service = Service(driver, log_output=os.devnull)
        browser = Chrome(options=options, service=service)
    try:
        # The size of the page, not of the window around it.
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = "dark" if is_dark else "light"
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        yield browser
    finally:
        browser.quit()


def events_of(browser: Chrome) -> list[dict[str, Any]]:
    """What the browser logged since the last call: DevTools events with `method` and `params`."""
    lines = browser.get_log("performance")  # type: ignore[no-untyped-call]
    return [json.loads(line["message"])["message"] for line in lines]


def hosts_asked(events: Sequence[dict[str, Any]]) -> set[str]:
    """Every HOST:PORT that was asked for something, over HTTP or as a WebSocket."""
    addresses = []
    for event in events:
        if event["method"] == "Network.requestWillBeSent":
            addresses.append(event["params"]["request"]["url"])
        elif event["method"] == "Network.webSocketCreated":
            addresses.append(event["params"]["url"])
    parts = [urlsplit(address) for address in addresses]
    return {part.netloc for part in parts if part.scheme not in _INSIDE}
