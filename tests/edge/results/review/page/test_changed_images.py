"""A slide whose cells came while the analyzer's images looked different, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

from selenium.webdriver.common.by import By

from edge.sidecar import to_json
from tests.support.page_user import PageUser
from tests.support.review_server import RunningPage
from tests.support.review_site import ReviewSite, mixed_cells

BADGE = "//*[@class='badge']"


def mark_some(site: ReviewSite, sample: str, count: int) -> None:
    """Let some sidecars of a sample say that they came during an alarm."""
    paths = (path for path in sorted(site.folder.rglob("*.json")) if sample in str(path))
    for path in islice(paths, count):
        fields = json.loads(path.read_bytes())
        fields["drift"] = {"since": "2026-11-23T07:01:00.000+01:00"}
        path.write_bytes(to_json(fields))


def test_slide_of_changed_images_has_a_badge_in_the_list_and_on_top(
    site: ReviewSite, serve: Callable[..., RunningPage], person: PageUser
) -> None:
    for sample in ("S1", "S2"):
        site.add_slide(sample, mixed_cells({"neutrophil": 8, "monocyte": 2}))
    mark_some(site, "S2", 4)
    running = serve()
    person.enter(running)
    person.see("//tr[contains(., 'S2')]")
    rows = person.browser.find_elements(By.XPATH, f"//tr[.{BADGE}]")
    assert ["S2" in row.text for row in rows] == [True]
    assert "4 of 10 (40.0 %) cells came while" in rows[0].text
    person.open(running, "S2")
    badge = person.see(f"//header{BADGE}")
    assert badge.text == "Images changed"
    assert "looked different" in (badge.get_attribute("title") or "")


def test_group_of_unfamiliar_cells_says_its_order_and_why_each_is_in_it(
    site: ReviewSite, serve: Callable[..., RunningPage], person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 8, "monocyte": 2}))
    for path in islice(sorted(site.folder.rglob("*.json")), 3):
        fields = json.loads(path.read_bytes())
        if fields.get("schema") == "edge-sidecar/1":
            strange = {"score": 4.2, "limit": 2.5, "passes": False, "reason": "too_dark"}
            path.write_bytes(to_json({**fields, "familiarity": strange}))
    running = serve()
    person.enter(running)
    person.open(running, "S1")
    person.see("//nav//*[text()='Unfamiliar']").click()
    person.reads("gallery-title", "Unfamiliar, 3 cells, by class, least certain first")
    assert person.see("//p[@class='warn']").text.endswith("own images: too dark")
