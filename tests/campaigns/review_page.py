"""How fast the review page is in a real browser, and what its program takes.

    python -m tests.campaigns.review_page [--cells 500 2000] [--keys 100] [--output FOLDER]

For each size a slide of drawn cells is exported, `edge-results review` serves it, and Chromium
opens it at 1280x800. Told are: from the key that opens the slide until its first group is drawn,
until the cell with the focus has its image (median and slowest), and until each cell in sight has
its image and counts as looked at (which takes 0.2 s of looking); from a key until the page says
that the decision is in the record; the resident memory after all images were shown; how many other
hosts the browser asked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.browser import events_of, hosts_asked, open_browser
from tests.support.page_user import PageUser
from tests.support.review_process import ReviewProcess
from tests.support.review_site import NORMAL, ReviewSite, mixed_cells
from tests.support.waiting import until

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """Times in milliseconds.

    Attributes:
        drawn: from the key that opens the slide to the tiles of its first group.
        first: from that key to the image of the cell with the focus, so that one can begin.
        looked: from that key until every cell in sight has its image and counts as looked at.
        saved: from a key to the answer that it is in the record, of each key.
    """

    cells: int
    drawn: tuple[float, ...]
    first: tuple[float, ...]
    looked: tuple[float, ...]
    saved: tuple[float, ...]
    rss_mb: float
    other_hosts: int

    def line(self) -> str:
        """The figures in a line."""
        keys = sorted(self.saved)
        p95 = keys[min(len(keys) - 1, round(0.95 * len(keys)))]
        return (
            f"{self.cells:>6} {statistics.median(self.drawn):>9.0f} "
            f"{statistics.median(self.first):>9.0f} {max(self.first):>9.0f} "
            f"{statistics.median(self.looked):>9.0f} "
            f"{statistics.median(keys):>9.0f} {p95:>9.0f} {self.rss_mb:>7.0f} {self.other_hosts:>6}"
        )


def measure(folder: Path, cells: int, keys: int) -> Figures:
    """All figures of one slide."""
    site = ReviewSite(folder)
    share = cells / sum(NORMAL.values())
    site.add_slide("S1", mixed_cells({n: round(share * count) for n, count in NORMAL.items()}))
    drawn, first, looked, others = [], [], [], set[str]()
    with ReviewProcess(site.config_file, folder / "review.log") as page:
        for number in range(ROUNDS):
            browser_folder = folder / f"browser-{number}"
            with open_browser(browser_folder) as browser:
                person = PageUser(browser)
                browser.get(page.new_address())
                person.see("//tr[contains(., 'S1')]")
                person.press_enter()
                person.look()
                wait_for_looked(person)
                drawn += timings(person, "slide")
                first += timings(person, "first")
                looked += timings(person, "looked")
                if number == ROUNDS - 1:
                    saved = press_keys(person, keys)
                    show_all_images(person)
                    rss_mb = page.rss_mb
                own = f"127.0.0.1:{page.port}"
                others |= hosts_asked(events_of(browser)) - {own}
    return Figures(
        *(cells, tuple(drawn), tuple(first), tuple(looked), tuple(saved), rss_mb, len(others))
    )


def wait_for_looked(person: PageUser) -> None:
    """Wait until the page has noted when all cells in sight were looked at."""
    until(lambda: timings(person, "looked"))


def timings(person: PageUser, action: str) -> list[float]:
    """What the page itself measured."""
    found = person.run("window.reviewTimings")
    return [float(one["ms"]) for one in found if one["action"] == action]


def press_keys(person: PageUser, keys: int) -> list[float]:
    """Press label keys as fast as decisions are answered; the times of all of them."""
    for number in range(keys):
        person.press("m" if number % 2 else "l")
        person.saved()
    return timings(person, "saved")


def show_all_images(person: PageUser) -> None:
    """Have the browser ask for every image of the slide."""
    script = """(async () => {
      for (const cell of slideScreen.data.cells) {
        const answer = await fetch(`/images/${slideScreen.key}/${cell.id}`);
        await answer.blob();
      }
      document.body.dataset.shown = 'all'; })()"""
    person.browser.execute_script(script)
    until(lambda: person.run("document.body.dataset.shown"), timeout_s=120)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.campaigns.review_page")
    made.add_argument("--cells", type=int, nargs="+", default=[500, 2000])
    made.add_argument("--keys", type=int, default=100)
    made.add_argument("--output", type=Path, help="folder for the scratch files")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    names = (
        "cells",
        "drawn",
        "first",
        "slowest",
        "looked",
        "key p50",
        "key p95",
        "RSS MB",
        "hosts",
    )
    widths = (6, 9, 9, 9, 9, 9, 9, 7, 6)
    print(" ".join(f"{n:>{w}}" for n, w in zip(names, widths, strict=True)))  # noqa: T201
    for cells in arguments.cells:
        with tempfile.TemporaryDirectory(prefix=".page-", dir=arguments.output) as scratch:
            print(measure(Path(scratch), cells, arguments.keys).line(), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
