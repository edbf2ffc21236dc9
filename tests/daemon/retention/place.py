"""A journal with old rows, on clocks to turn."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon import retention as module
from daemon.image.records import Finished, ImageVersion
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.journal.file import NAME
from daemon.journal.journal import open_journal
from daemon.retention import DAY_S, Retention
from edge.labeller import ImageFacts, Outcome, Timing
from edge.postprocess import Decision
from edge.status import Status

NOW_S = 1_800_000_000.0


OLD_S = NOW_S - 500 * DAY_S


class Wall:
    """The clock on the wall, which anybody can set."""

    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Place:
    """An export folder, its journal, and what is left in it."""

    def __init__(self, folder: Path) -> None:
        self.export, self.state = folder / "export", folder / "state"
        self.export.mkdir()
        self.state.mkdir()
        self.journal = open_journal(self.state)
        id_ = self.journal.serve(self.export)
        names = names_regex(("*.jpg",))
        self.root = WatchFolder(id_, self.export, folder / "results", names)
        self.wall = Wall()
        # Yesterday's pass, so that the guard against a wrong clock is not what spares a row.
        last = {"at": NOW_S - DAY_S, "trusted": NOW_S - DAY_S}
        (self.state / module.NAME).write_text(json.dumps(last))

    def retention(self, days: float | None = 400, **options: Any) -> Retention:
        options = {"is_idle": lambda: True, "wall_clock": self.wall, **options}
        return Retention(self.journal, {self.root.id: self.root}, self.state, days, **options)

    def add(self, *names: str, at: float = OLD_S, content: bytes = b"image") -> None:
        """Images in the export whose outcome was noted at some time."""
        for name in names:
            path = self.export / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            version = self.root.look(name.encode())
            assert version is not None
            self.journal.record_waiting([version])
        claimed = self.journal.claim(1000)
        assert len(claimed) == len(names)
        outcome = Outcome(
            Status.LABELLED,
            ImageFacts("ab" * 32, 5),
            Timing(),
            Decision("red", 0.9, {"red": 0.9}, is_identified=True),
        )
        self.journal.conclude([Finished(image, outcome) for image in claimed])
        self.age([image.id for image in claimed], at)

    def age(self, ids: list[int], at: float) -> None:
        with closing(sqlite3.connect(self.state / NAME)) as db, db:
            rows = [(at, at, id_) for id_ in ids]
            db.executemany(
                "UPDATE image SET recorded_at = ?, finished_at = iif(finished_at IS NULL, NULL, ?)"
                " WHERE id = ?",
                rows,
            )

    def remove(self, *names: str) -> None:
        for name in names:
            (self.export / name).unlink()

    def rows(self) -> list[str]:
        with closing(sqlite3.connect(self.state / NAME)) as db:
            return [row[0].decode() for row in db.execute("SELECT path FROM image ORDER BY id")]

    def unknown(self) -> list[ImageVersion]:
        """Images of the export that would be labelled now."""
        names = [path.relative_to(self.export) for path in self.export.rglob("*.jpg")]
        seen = [self.root.look(os.fsencode(name)) for name in names]
        return self.journal.unknown([version for version in seen if version])
