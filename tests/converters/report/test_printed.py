"""The report as a browser prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.report.page import render_report
from tests.support.browser import open_browser
from tests.support.report.sample_evidence import FACTS

# The width of a page of A4 within margins of 10 mm, in CSS pixels.
A4_PX = 718


def test_printed_report_is_no_wider_than_a_page(evidence: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_bytes(render_report(evidence, FACTS, lambda _file: None))
    with open_browser(tmp_path / "browser", width=A4_PX) as browser:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        browser.get(target.as_uri())
        width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= A4_PX
