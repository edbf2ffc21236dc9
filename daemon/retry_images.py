"""What `edge-daemon retry` does: images that have an outcome wait to be labelled once more."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from daemon.config import Config
from daemon.journal import open_journal
from daemon.journal_file import require_journal
from edge.errors import ConfigError


def retry_images(config: Config, image: Path | None, reason: str | None = None) -> int:
    """Placeholder."""
    """Placeholder."""
    require_journal(config.state_dir)
    with closing(open_journal(config.state_dir)) as journal:
        roots = {watch.folder: journal.serve(watch.folder) for watch in config.watch}
        if image is None:
            return sum(map(journal.put_back, journal.rejections(reason)))
        path = Path(os.path.abspath(image))  # noqa: PTH100 - resolve() would follow a link
        for folder, root in roots.items():
            if path.is_relative_to(folder):
                relative = os.fsencode(path.relative_to(folder))
                if journal.retry_image(root, relative):
                    return 1
                raise ConfigError(f"{path} has no outcome yet; edge-daemon status shows more.")
    raise ConfigError(f"{path} lies in no watch folder of this configuration.")
