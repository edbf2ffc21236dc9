"""What a running service imports: all of it before it is ready."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

# A process that tells, when it is ready and when it ends, what it has imported of this product.
_WATCHED = """
import sys
from daemon.cli import main
from edge.system.notifier import Notifier
own = lambda: sorted(n for n in sys.modules if n.split('.')[0] in ('daemon', 'edge'))
notify = Notifier.notify
def noted(self, *texts):
    if texts[0] == 'READY=1' and not seen:
        seen.extend(own())
    notify(self, *texts)
seen = []
Notifier.notify = noted
code = main(sys.argv[1:])
print('after:', sorted(set(own()) - set(seen)), len(seen) > 50, code)
"""


def test_service_imports_nothing_after_it_is_ready(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package may be upgraded in place while the service runs: what it imported then would be
    # of another version than what it runs.
    monkeypatch.setattr(Site, "command", _command)
    process = site.start("run")
    site.add("a.jpg", colour_jpeg("red"))
    until(lambda: site.has_sidecar("a.jpg"))
    lines = iter(process.stderr or ())
    process.send_signal(signal.SIGHUP)
    assert any("the new configuration is valid" in line for line in lines)
    assert any("labelling images of" in line for line in lines)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert out.strip() == "after: [] True 0"


def _command(site: Site, *words: str) -> list[str]:
    return [sys.executable, "-c", _WATCHED, *words, "--config", str(site.config_path)]
