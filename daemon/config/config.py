"""The configuration: one YAML file, checked as a whole before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from daemon.config.metrics_config import MetricsConfig, read_metrics
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.log.journald import LEVELS
from daemon.system.bounded_call import ANSWER_S, call_each
from daemon.system.unicode_form import forms_on_disk
from edge.backends.names import BACKENDS
from edge.errors import ConfigError
from edge.files.strict_block import Block
from edge.files.yaml_file import read_yaml
from edge.image_files.limits import ImageLimits
from edge.retry.policy import RetryPolicy
from edge.retry.reading import read_retry_policy
from edge.sidecar import FORMATS
from edge.system.workers import default_workers
from edge.text.path_template import PathTemplate
from edge.text.printable import printable

PATTERNS: Final = ("*.jpg", "*.jpeg", "*.jpe", "*.jfif", "*.png")
POLL_MODES: Final = ("auto", "always", "never")
PRECISIONS: Final = ("int8", "fp16", "fp32")
# What becomes of an image that is not like the laboratory's.
NOTE: Final = "note"
UNFAMILIAR: Final = ("unidentified", NOTE)

# A year and a month, so that outcomes of the same time last year are still there.
RETENTION_DAYS: Final = 400.0
# With the threads of several watch folders these stay within TasksMax= of the unit.
MAX_WORKERS: Final = 16


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """A folder that an analyzer exports to."""

    folder: Path
    patterns: tuple[str, ...]
    sample: PathTemplate | None
    exclude: tuple[str, ...] = ()

    def watch_folder(self, id_: int, results: Path) -> WatchFolder:
        """The folder for the daemon; `id_` is the journal's, `results` holds its sidecars."""
        exclude = names_regex(self.exclude) if self.exclude else None
        names = names_regex(self.patterns)
        return WatchFolder(id_, self.folder, results, names, self.sample, exclude)


@dataclass(frozen=True, slots=True)
class ResultsConfig:
    """Where sidecars go (`folder` None: beside the image), and their formats."""

    folder: Path | None
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How many waiting images one worker takes at once, and how long it waits for more."""

    max_images: int
    max_wait_ms: int


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; paths are absolute."""

    bundle: Path
    backend: str
    precision: str | None
    threads: int
    workers: int
    watch: tuple[WatchConfig, ...]
    results: ResultsConfig
    settle_s: float
    rescan_s: float
    poll: str
    batch: BatchConfig
    retry: RetryPolicy
    limits: ImageLimits
    state_dir: Path
    log_level: str
    metrics: MetricsConfig
    retention_days: float | None
    unfamiliar: str = UNFAMILIAR[0]
    # Folders that the file names in another Unicode form, as the disk has them.
    other_forms: tuple[Path, ...] = ()

    @property
    def folders(self) -> list[Path]:
        """The bundle, the watch folders and the results folder, if there is one."""
        folders = [self.bundle, *(watch.folder for watch in self.watch)]
        return [*folders, self.results.folder] if self.results.folder else folders

    def watch_folders(self, id_of: Callable[[Path], int]) -> dict[int, WatchFolder]:
        """The watch folders by the ids that `id_of`, such as the journal, gives their paths."""
        ids = {id_of(watch.folder): watch for watch in self.watch}
        return {id_: w.watch_folder(id_, self.results_folder(w)) for id_, w in ids.items()}

    def results_folder(self, watch: WatchConfig) -> Path:
        """The folder of a watch folder's sidecars: the watch folder itself, or its mirror.

        Each of several watch folders has its own, as they may hold images of equal paths.
        """
        if self.results.folder is None:
            return watch.folder
        several = len(self.watch) > 1
        return self.results.folder / watch.folder.name if several else self.results.folder


def load_config(path: Path, *, base: Path | None = None) -> Config:
    """Read and check a configuration file. Relative paths are relative to `base`, or its folder.

    Raises:
        ConfigError: one line for every problem found.
    """
    problems: list[str] = []
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no keys; see docs/daemon/configure.md for an example.")
    folder = base or path.absolute().parent
    config = _in_form_of_disk(_read(Block(values, "", problems), folder))
    _check_folders(config, problems)
    if problems:
        # Keys and folders may contain line breaks.
        raise ConfigError("\n".join(printable(f"{path}: {problem}") for problem in problems))
    return config


def _read(block: Block, base: Path) -> Config:
    config = Config(
        bundle=block.path("bundle", base),
        backend=block.choice("backend", "auto", BACKENDS) or "auto",
        precision=block.choice("precision", None, PRECISIONS),
        threads=block.whole("threads", 1, low=1, high=256),
        workers=block.whole("workers", default_workers(), low=1, high=MAX_WORKERS),
        watch=tuple(_read_watch(watch, base) for watch in block.blocks("watch")),
        results=_read_results(block.block("results"), base),
        settle_s=block.number("settle_s", 2.0, low=0.05, high=3600),
        rescan_s=block.number("rescan_s", 30.0, low=0.1, high=86400),
        poll=block.choice("poll", "auto", POLL_MODES) or "auto",
        batch=_read_batch(block.block("batch")),
        retry=read_retry_policy(block.block("retry"), RetryPolicy()),
        limits=_read_limits(block.block("limits")),
        state_dir=block.path("state_dir", base),
        log_level=_read_log_level(block.block("log")),
        metrics=read_metrics(block.block("metrics"), base),
        retention_days=block.number_or_null("retention_days", RETENTION_DAYS, low=1, high=36500),
        unfamiliar=block.choice("unfamiliar", UNFAMILIAR[0], UNFAMILIAR) or UNFAMILIAR[0],
    )
    block.close()
    return config


def _read_watch(block: Block, base: Path) -> WatchConfig:
    folder = block.path("folder", base)
    patterns = block.texts("pattern", PATTERNS)
    sample = None
    if text := block.text("sample"):
        try:
            sample = PathTemplate.parse(text)
        except ConfigError as error:
            block.note("sample", f"is wrong: {error}".rstrip("."))
    exclude = block.texts("exclude", ())
    for key, names, what in (("pattern", patterns, "file"), ("exclude", exclude, "file or folder")):
        if any("/" in name for name in names):
            block.note(key, f"{list(names)} has a /; give {what} names, of any folder below")
    # Sidecars are never images, so a pattern that matches them is a mistake.
    if any(names_regex(patterns).match(f"x.jpg.{format_}") for format_ in FORMATS):
        block.note("pattern", f"{list(patterns)} matches sidecars too; give image suffixes")
    block.close()
    return WatchConfig(folder, patterns, sample, exclude)


def _read_results(block: Block, base: Path) -> ResultsConfig:
    folder = block.text("folder")
    formats = block.texts("formats", FORMATS)
    unknown = [format_ for format_ in formats if format_ not in FORMATS]
    if unknown:
        block.note("formats", f"has {unknown[0]!r}; give some of {', '.join(FORMATS)}")
    block.close()
    return ResultsConfig(Path(os.path.normpath(base / folder)) if folder else None, formats)


def _read_batch(block: Block) -> BatchConfig:
    batch = BatchConfig(
        max_images=block.whole("max_images", 16, low=1, high=1024),
        max_wait_ms=block.whole("max_wait_ms", 0, low=0, high=60_000),
    )
    block.close()
    return batch


def _read_limits(block: Block) -> ImageLimits:
    default = ImageLimits()
    limits = ImageLimits(
        max_bytes=block.whole("max_bytes", default.max_bytes, low=1000, high=10**9),
        max_pixels=block.whole("max_pixels", default.max_pixels, low=1024, high=10**9),
    )
    block.close()
    return limits


def _read_log_level(block: Block) -> str:
    level = block.choice("level", "info", LEVELS) or "info"
    block.close()
    return level


def _in_form_of_disk(config: Config) -> Config:
    """The configuration with each path in the Unicode form that the disk has."""
    results, file = config.results.folder, config.metrics.file
    folders = {config.bundle, config.state_dir, *(watch.folder for watch in config.watch)}
    forms = forms_on_disk(folders | {path for path in (results, file) if path is not None})
    return replace(
        config,
        bundle=forms.get(config.bundle, config.bundle),
        state_dir=forms.get(config.state_dir, config.state_dir),
        watch=tuple(replace(w, folder=forms.get(w.folder, w.folder)) for w in config.watch),
        results=replace(config.results, folder=results and forms.get(results, results)),
        metrics=replace(config.metrics, file=file and forms.get(file, file)),
        other_forms=tuple(sorted(forms.values())),
    )


def _check_folders(config: Config, problems: list[str]) -> None:
    """Note folders that contain each other, and folders whose results would be mixed."""
    paths = _without_links({config.state_dir, *(watch.folder for watch in config.watch)})
    real = [(i, paths[watch.folder]) for i, watch in enumerate(config.watch)]
    for i, folder in real:
        for j, other in real[:i]:
            if folder == other:
                problems.append(f"watch[{i}].folder is the same folder as watch[{j}].folder.")
            elif folder.is_relative_to(other) or other.is_relative_to(folder):
                problems.append(f"watch[{i}].folder and watch[{j}].folder contain each other.")
    state_dir = paths[config.state_dir]
    problems.extend(
        f"state_dir is inside watch[{i}].folder; give a folder elsewhere."
        for i, folder in real
        if state_dir.is_relative_to(folder)
    )
    names = [watch.folder.name for watch in config.watch]
    if config.results.folder is not None and len(set(names)) < len(names):
        problems.append(
            "watch has folders of the same name, whose results would go to one folder; rename "
            "one, or leave results.folder null."
        )


def _without_links(folders: Collection[Path]) -> dict[Path, Path]:
    """Each folder's path without links; on a share that does not answer, the path as given."""
    calls = {folder: partial(os.path.realpath, folder) for folder in folders}
    found = call_each(calls, ANSWER_S, "folder-names")
    return {folder: Path(found.get(folder, folder)) for folder in folders}
