"""`edge-daemon check-config`: checks everything that a start needs, without starting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.model.open_model import open_model
from daemon.operator.check_metrics import is_read_only, metrics_lines, metrics_problems
from daemon.operator.folder_preview import FolderPreview, preview_folder
from daemon.results.destination import results_problem
from daemon.system.bounded_call import ANSWER_S, call_each, no_answer
from daemon.system.state_dir import share_problem
from daemon.system.this_user import give_permission
from daemon.system.unicode_form import OTHER_FORM
from edge.backends.opening import Opening
from edge.errors import ConfigError, EdgeError
from edge.files.nearest import nearest_existing
from edge.system.mounts import file_system_type, is_on_share
from edge.text.counted import counted
from edge.text.path_template import GROUPS, PathTemplate
from edge.text.printable import printable

_OPEN_RESULTS: Final = (
    "It is read-only here: run `edge-daemon install` again, which lets the unit write there, or "
    "mount it read-write."
)


def check_config(config: Config) -> list[str]:
    """Check folders, bundle, back end and golden images; returns lines on what the daemon would do.

    Raises:
        ConfigError: folders cannot be used; one line for each, and for the model if it fails too.
        BundleError, BackendError: the model alone cannot be used here.
    """
    problems = list(_folder_problems(config))
    try:
        model_lines = _model_lines(config)
    except EdgeError as error:
        if not problems:
            raise
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(map(printable, problems)))
    return [*model_lines, *_watch_lines(config), *_work_lines(config)]


def _folder_problems(config: Config) -> Iterator[str]:
    results = config.results.folder
    looks: dict[str, Callable[[], str | None]] = {
        f"watch folder {watch.folder}": partial(
            _export_problem, watch.folder, beside=results is None
        )
        for watch in config.watch
    }
    if results is not None:
        looks[f"results folder {results}"] = partial(_results_problem, results)
    found = call_each(looks, ANSWER_S, "check-folders")
    for name in looks:
        problem = found.get(name, no_answer(name))
        if problem is not None:
            yield problem
    if problem := share_problem(config.state_dir):
        yield problem
    elif not _can_be_made(config.state_dir):
        yield f"state_dir {config.state_dir} cannot be written. {give_permission()}."
    yield from metrics_problems(config.metrics)


def _export_problem(folder: Path, *, beside: bool) -> str | None:
    if not _exists(folder):
        return f"watch folder {folder} is not there. Mount or create it."
    if not _may(folder, os.R_OK | os.X_OK):
        return f"watch folder {folder} cannot be read. {give_permission()}."
    if beside and not _may(folder, os.W_OK):
        return f"no sidecars can be written to {folder}. {_remedy(folder)}"
    return None


def _results_problem(folder: Path) -> str | None:
    if problem := results_problem(folder):
        return problem
    if not _may(folder, os.W_OK | os.X_OK):
        return f"no sidecars can be written to {folder}. {_remedy(folder)}"
    return None


def _remedy(folder: Path) -> str:
    if is_read_only(folder):
        return _OPEN_RESULTS
    return f"{give_permission()}, or set results.folder to another place."


def _exists(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except PermissionError:
        return True  # this user cannot know; `_may` reports the missing permission
    except OSError:
        return False  # such as a share whose server is gone


def _may(folder: Path, mode: int) -> bool:
    return os.access(folder, mode, effective_ids=True)


def _can_be_made(folder: Path) -> bool:
    found = nearest_existing(folder)
    return os.path.isdir(found) and _may(found, os.W_OK | os.X_OK)  # noqa: PTH112


def _model_lines(config: Config) -> list[str]:
    choices: list[str] = []
    model = open_model(config, opening=Opening(on_choice=choices.append, keeps_plans=False))
    model.session.close()
    bundle, session = model.bundle, model.session
    return [
        (
            f"model    {bundle.name} {bundle.version}, {session.precision} on {session.backend} "
            f"({session.graph})"
        ),
        (
            f"         every hash is right; {counted(len(bundle.golden), 'golden image')} got "
            "the right labels"
        ),
        *(f"         {text}" for text in choices),
    ]


def _watch_lines(config: Config) -> Iterator[str]:
    for watch in config.watch:
        polled = config.poll == "always" or (config.poll == "auto" and is_on_share(watch.folder))
        how = "polled" if polled else f"watched, and scanned every {config.rescan_s:g} s"
        yield f"watch    {watch.folder} ({file_system_type(watch.folder)}), {how}"
        yield f"         {', '.join(watch.patterns)}"
        looked = preview_folder(watch)
        yield from (f"         {text}" for text in looked.lines(watch))
        ids = _ids(looked, watch.sample) if watch.sample else "none: watch.sample is not set"
        yield f"ids      {ids}"
        formats = " and ".join(config.results.formats)
        yield f"results  {formats} in {config.results_folder(watch)}"


def _ids(looked: FolderPreview, sample: PathTemplate) -> str:
    """The ids that the template takes from the paths of images that are there already."""
    paths = looked.images
    matching = [path for path in paths if sample.ids(path) != (None, None)]
    if not paths:
        return f"from {sample.text}; not tried, as there is no image yet"
    if not matching:
        return (
            f"WARNING: none of {counted(len(paths), 'image')} matches {sample.text}, such as "
            f"{_text(paths[0])}"
        )
    found = zip(GROUPS, sample.ids(matching[0]), strict=True)
    ids = ", ".join(f"{name} {id_}" for name, id_ in found if id_ is not None)
    others = len(paths) - len(matching)
    rest = f"; no match: {others} of {counted(len(paths), 'image')}" if others else ""
    return f"from {sample.text}: {_text(matching[0])} has {ids}{rest}"


def _text(path: bytes) -> str:
    return printable(path.decode("utf-8", "backslashreplace"))


def _work_lines(config: Config) -> Iterator[str]:
    yield from metrics_lines(config.metrics)
    yield f"state    {config.state_dir}"
    for path in config.other_forms:
        yield f"names    {path} {OTHER_FORM}"
    yield (
        f"work     {counted(config.workers, 'worker')}, up to "
        f"{counted(config.batch.max_images, 'image')} each; a file is complete after "
        f"{config.settle_s:g} s without a change"
    )
