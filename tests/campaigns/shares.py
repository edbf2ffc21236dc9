"""A share that goes away, hangs, slows down and comes back, under a daemon that keeps running.

    python -m tests.campaigns.shares [--outage-s 120] [--output DIR] [--only NAME]

Exits with 1 unless every image of every scenario has its one outcome, with the sidecars beside
the images on the share and in a local folder.
tests/faults/machine/test_shares.py is the short form.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.lab import Lab
from tests.support.machine.share import RECONNECT, Share, lacks
from tests.support.waiting import until

Scenario = Callable[[Lab, Share, float], None]


def server_stops(lab: Lab, share: Share, outage_s: float) -> None:
    """EIO from every call, after two seconds each."""
    share.pause()
    add_on_server(lab, share, "during")
    time.sleep(outage_s)
    share.go_on()


def server_is_killed(lab: Lab, share: Share, outage_s: float) -> None:
    """EIO at once."""
    share.kill_server()
    add_on_server(lab, share, "during")
    time.sleep(outage_s)
    share.serve()


def client_is_killed(lab: Lab, share: Share, outage_s: float) -> None:
    """ENOTCONN until somebody mounts it again."""
    share.kill_client()
    add_on_server(lab, share, "during")
    time.sleep(outage_s)
    share.unmount()
    share.mount()


def share_unmounts_itself(lab: Lab, share: Share, outage_s: float) -> None:
    """An empty local folder lies where the share was. It is not the share."""
    share.kill_server(sessions_only=True)
    until(lambda: not share.is_mounted)
    add_on_server(lab, share, "during")
    time.sleep(outage_s)
    left = [path.name for path in share.mount_at.iterdir()]
    assert left == [], f"written under the mount point: {left}"
    share.mount("")


def share_hangs(lab: Lab, share: Share, outage_s: float) -> None:
    """Calls do not return. The other watch folder is served all the while."""
    share.pause()
    add_on_server(lab, share, "during")
    time.sleep(outage_s)
    other = lab.folder / "other"
    (other / "local.jpg").write_bytes(lab.content("local.jpg"))
    until(lambda: lab.done()["local.jpg"] == 1, timeout_s=10)
    until(lambda: "does not answer" in lab.log)
    share.go_on()
    until(lambda: "answers again" in lab.log, timeout_s=30)


def share_is_slow(lab: Lab, share: Share, outage_s: float) -> None:
    """The server answers in spurts."""
    end_s = time.monotonic() + outage_s
    number = 0
    while time.monotonic() < end_s:
        share.pause()
        lab.add(f"slow/{number}.jpg", folder=share.served)
        time.sleep(0.3)
        share.go_on()
        time.sleep(0.1)
        number += 1


def handles_go_stale(lab: Lab, share: Share, outage_s: float) -> None:
    """Folders are replaced on the server by others of the same name, again and again."""
    end_s = time.monotonic() + outage_s
    number = 0
    while time.monotonic() < end_s:
        fresh = share.served.parent / f"fresh{number}"
        lab.add(f"stale{number}/a.jpg", folder=fresh)
        folder = share.served / f"stale{number}"
        folder.mkdir()
        (folder / "unfinished.jpg").write_bytes(b"")
        time.sleep(0.3)
        folder.rename(share.served.parent / f"gone{number}")
        (fresh / folder.name).rename(folder)
        number += 1


# Each with the options of its mount.
SCENARIOS: dict[Scenario, str] = {
    server_stops: RECONNECT,
    server_is_killed: RECONNECT,
    client_is_killed: RECONNECT,
    share_unmounts_itself: "",
    share_hangs: "",
    share_is_slow: RECONNECT,
    handles_go_stale: RECONNECT,
}


def add_on_server(lab: Lab, share: Share, folder: str) -> None:
    """Images that the analyzer writes to its own disk."""
    lab.add(*(f"{folder}/{number}.jpg" for number in range(10)), folder=share.served)


@contextmanager
def a_share(lab: Lab, options: str) -> Iterator[Share]:
    """The lab's export becomes a mounted share."""
    share = Share(lab.folder / "server", lab.export)
    try:
        share.serve()
        share.mount(options)
        yield share
    finally:
        share.close()


def play(scenario: Scenario, folder: Path, outage_s: float, *, is_beside: bool) -> None:
    """Images before, during and after the outage; each must have its one outcome."""
    lab = Lab(folder)
    (folder / "other").mkdir()
    lab.settings["watch"] = [{"folder": "export"}, {"folder": "other"}]
    lab.results = lab.results / "export"
    if is_beside:
        lab.settings["results"], lab.results = {"folder": None}, lab.export
    with a_share(lab, SCENARIOS[scenario]) as share:
        add_on_server(lab, share, "before")
        with lab.daemon():
            lab.await_done()
            scenario(lab, share, outage_s)
            add_on_server(lab, share, "after")
            lab.await_done(timeout_s=60)
            check(lab, scenario)


def check(lab: Lab, scenario: Scenario) -> None:
    """Nothing lost, nothing doubled, no image changed."""
    others = {"local.jpg"} if scenario is share_hangs else set()
    done = {name: count for name, count in lab.done().items() if not _is_odd(name, others)}
    assert done == dict.fromkeys(lab.digests, 1)
    lab.check_files()


def _is_odd(name: str, others: set[str]) -> bool:
    return name in others or name.endswith("unfinished.jpg")


def main() -> int:
    """Play every scenario and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outage-s", type=float, default=120.0)
    parser.add_argument("--output", type=Path, default=Path.cwd())
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    if problem := lacks():
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    failures = 0
    for scenario in SCENARIOS:
        for is_beside in (False, True):
            if arguments.only not in scenario.__name__:
                continue
            where = "beside the images" if is_beside else "in a local folder"
            started_s = time.monotonic()
            with tempfile.TemporaryDirectory(prefix=".share-", dir=arguments.output) as scratch:
                try:
                    folder = Path(scratch).resolve()
                    play(scenario, folder, arguments.outage_s, is_beside=is_beside)
                    verdict = "every image labelled once"
                except (AssertionError, OSError) as error:
                    failures += 1
                    verdict = f"FAILED: {error}"
            took_s = time.monotonic() - started_s
            print(f"{scenario.__name__}, sidecars {where}: {verdict} ({took_s:.0f} s)", flush=True)  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
