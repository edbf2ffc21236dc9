"""`edge-daemon retry`: sets images that have an outcome to waiting, to be labelled again.

A row keeps its outcome until it gets another one, and images that have left the export are not
touched. It works in pages, so that a running daemon is not delayed, and that daemon then labels the
images.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.config.config import Config
from daemon.image.missing_sidecars import MissingSidecars
from daemon.image.records import PastImage
from daemon.image.watch_folder import WatchFolder
from daemon.journal.file import require_journal
from daemon.journal.journal import Journal, open_journal
from daemon.supervision.running_daemon import read_running
from daemon.system.unicode_form import as_on_disk
from edge.command.values import given_path
from edge.errors import ConfigError, RejectReason, StorageError


@dataclass(frozen=True, slots=True)
class Retried:
    """How many images are set to waiting; how many are not: gone, or left out by their names."""

    images: int
    not_there: int = 0
    left_out: int = 0

    def text(self) -> str:
        """The counts for people."""
        text = f"to be labelled again: {self.images}"
        if self.not_there:
            text += f"\nnot in the export any more, so unchanged: {self.not_there}"
        if self.left_out:
            text += f"\nleft out by pattern or exclude, so unchanged: {self.left_out}"
        return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command, but for those that name the configuration."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--rejected", action="store_true", help="all rejected images (default)")
    which.add_argument(
        "--reason",
        choices=[str(reason) for reason in RejectReason],
        metavar="CODE",
        help="rejected images with this reason code: %(choices)s",
    )
    which.add_argument("--all", action="store_true", help="all images that are there")
    which.add_argument(
        "--older-than-bundle",
        action="store_true",
        help="images that another bundle has labelled than the configured one",
    )
    which.add_argument(
        "--missing", action="store_true", help="images whose sidecars somebody has deleted"
    )
    text = "these images, whatever their outcomes"
    which.add_argument("--image", type=given_path, nargs="+", metavar="PATH", help=text)


def retry_rejected(
    config: Config, on_looked_at: Callable[[int], None], reason: str | None = None
) -> Retried:
    """Set rejected images to waiting; with `reason` only those that have this code.

    Args:
        config: names the folders.
        on_looked_at: gets the number of outcomes looked at.
        reason: a code of `RejectReason`.

    Raises:
        StorageError: there is no journal, it cannot be written, or a watch folder is away.
    """
    with _opened(config) as (journal, watch_folders):
        return _put_back(journal, watch_folders, journal.rejections(reason), on_looked_at)


def retry_all(config: Config, on_looked_at: Callable[[int], None]) -> Retried:
    """Set every image that has an outcome to waiting. Arguments and errors as `retry_rejected`."""
    with _opened(config) as (journal, watch_folders):
        return _put_back(journal, watch_folders, journal.outcomes(), on_looked_at)


def retry_older_than_bundle(config: Config, on_looked_at: Callable[[int], None]) -> Retried:
    """Set images to waiting that another bundle than the configured one has labelled.

    Arguments and errors as `retry_rejected`, and:

    Raises:
        BundleError: the configured bundle is unusable.
        ConfigError: the running daemon still uses another bundle.
    """
    # Brings NumPy and OpenCV, which the other retries do without.
    from edge.bundle import load_bundle

    sha256 = load_bundle(config.bundle).sha256
    health = read_running(config.state_dir).health
    if health and health.get("bundle_sha256") not in (sha256, None):
        raise ConfigError(
            f"the running daemon still uses another bundle than {config.bundle}. Reload it first: "
            "systemctl reload edge-daemon."
        )
    with _opened(config) as (journal, watch_folders):
        return _put_back(
            journal, watch_folders, journal.outcomes(of_other_than=sha256), on_looked_at
        )


def retry_missing(config: Config, on_looked_at: Callable[[int], None]) -> Retried:
    """Set images to waiting that lack one of the configured sidecars.

    Arguments and errors as `retry_rejected`, and:

    Raises:
        StorageError: the folder of the sidecars seems to be unmounted.
    """
    with _opened(config) as (journal, watch_folders):
        missing = MissingSidecars(watch_folders, config.results.formats)
        for page in journal.outcomes():
            if missing.found_in_all(page):
                break
        missing.require_present()
        return _put_back(journal, watch_folders, journal.outcomes(), on_looked_at, missing.of)


def retry_images(config: Config, images: Sequence[Path]) -> Retried:
    """Set images to waiting, whatever their outcomes.

    Raises:
        ConfigError: one has no outcome, is not there, or is in no watch folder; those before it
            are set to waiting.
        StorageError: as `retry_rejected`.
    """
    with _opened(config) as (journal, watch_folders):
        found = [_find(watch_folders, image) for image in images]
        for folder_id, path in found:
            image = watch_folders[folder_id].image(path)
            if not watch_folders[folder_id].has_image(path):
                raise ConfigError(f"{image} is left out by pattern or exclude; its outcome stays.")
            if watch_folders[folder_id].look(path) is None:
                raise ConfigError(f"{image} is not there; its outcome stays.")
            if not journal.retry_image(folder_id, path):
                raise ConfigError(
                    f"{image} is waiting already, or has no outcome yet; see edge-daemon status."
                )
    return Retried(len(found))


@contextmanager
def _opened(config: Config) -> Iterator[tuple[Journal, dict[int, WatchFolder]]]:
    require_journal(config.state_dir)
    # Not upgraded, as a daemon of an earlier version may be using it.
    with closing(open_journal(config.state_dir, may_upgrade=False)) as journal:
        watch_folders = config.watch_folders(journal.serve)
        for watch_folder in watch_folders.values():
            if watch_folder.identity() is None:
                raise StorageError(
                    f"watch folder {watch_folder.path} is not there. Mount or create it first."
                )
        yield journal, watch_folders


def _put_back(
    journal: Journal,
    watch_folders: dict[int, WatchFolder],
    pages: Iterable[list[PastImage]],
    on_looked_at: Callable[[int], None],
    choose: Callable[[list[PastImage]], list[PastImage]] = list,
) -> Retried:
    looked_at = put_back = not_there = left_out = 0
    for page in pages:
        wanted = [image for image in page if watch_folders[image.folder_id].has_image(image.path)]
        there = [
            image for image in wanted if not watch_folders[image.folder_id].is_gone(image.path)
        ]
        put_back += journal.put_back(choose(there))
        not_there += len(wanted) - len(there)
        left_out += len(page) - len(wanted)
        looked_at += len(page)
        on_looked_at(looked_at)
    return Retried(put_back, not_there, left_out)


def _find(watch_folders: dict[int, WatchFolder], image: Path) -> tuple[int, bytes]:
    """The watch folder's id and the path below it, also through a link or another mount."""
    # Not resolve(), which would follow the image itself if it is a link.
    path = as_on_disk(Path(os.path.abspath(image)))  # noqa: PTH100
    for watch_folder in watch_folders.values():
        if path.is_relative_to(watch_folder.path):
            return watch_folder.id, os.fsencode(path.relative_to(watch_folder.path))
    for watch_folder in watch_folders.values():
        for parent in path.parents:
            if parent.exists() and parent.samefile(watch_folder.path):
                return watch_folder.id, os.fsencode(path.relative_to(parent))
    raise ConfigError(f"{path} is in no watch folder of this configuration.")
