"""What `edge-daemon check-config` does: everything that a start needs, without starting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from daemon.config import Config
from daemon.mounts import file_system_type, is_on_share
from daemon.startup import Model, open_model
from edge.errors import ConfigError


def check_config(config: Config) -> list[str]:
    """Check folders, bundle, back end and golden images; gives what the daemon would do.

    Raises:
        ConfigError: one line for every folder that cannot be used.
        BundleError, BackendError: the model cannot be used here.
    """
    problems = list(_folder_problems(config))
    if problems:
        raise ConfigError("\n".join(problems))
    model = open_model(config)
    model.session.close()
    return [*_model_lines(model), *_watch_lines(config), *_work_lines(config)]


def _folder_problems(config: Config) -> Iterator[str]:
    for watch in config.watch:
        if not watch.folder.is_dir():
            yield f"watch folder {watch.folder} is not there. Mount or create it."
        elif not os.access(watch.folder, os.R_OK | os.X_OK):
            yield f"watch folder {watch.folder} cannot be read. Give this user the permission."
        if not _is_writable(config.results_folder(watch)):
            yield (
                f"no sidecars can be written to {config.results_folder(watch)}. Give this user "
                "the permission, or set results.folder to another place."
            )
    if not _is_writable(config.state_dir):
        yield f"state_dir {config.state_dir} cannot be written. Give this user the permission."


def _is_writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _model_lines(model: Model) -> Iterator[str]:
    bundle, session = model.bundle, model.session
    yield f"model    {bundle.name} {bundle.version}, {session.precision} on {session.backend}"
    yield f"         every hash holds; {len(bundle.golden)} golden images gave their labels"


def _watch_lines(config: Config) -> Iterator[str]:
    for watch in config.watch:
        polled = config.poll == "always" or (config.poll == "auto" and is_on_share(watch.folder))
        how = "polled" if polled else f"watched, and scanned every {config.rescan_s:g} s"
        yield f"watch    {watch.folder} ({file_system_type(watch.folder)}), {how}"
        yield f"         {', '.join(watch.patterns)}; ids from {_ids(config, watch.folder)}"
        formats = " and ".join(config.results.formats)
        yield f"results  {formats} in {config.results_folder(watch)}"


def _ids(config: Config, folder: Path) -> str:
    samples = [watch.sample for watch in config.watch if watch.folder == folder]
    return samples[0].text if samples[0] else "no template: none"


def _work_lines(config: Config) -> Iterator[str]:
    yield f"state    {config.state_dir}"
    yield (
        f"work     {config.workers} workers, up to {config.batch.max_images} images at once; "
        f"a file is complete when it was quiet for {config.settle_s:g} s"
    )
