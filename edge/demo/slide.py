"""The end of the demonstration: one slide's differential, and its files for a LIS."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

from edge.demo.run import Workspace
from edge.files import atomic
from edge.results.differential.bundle_errors import errors_of_slide, read_bundle_errors
from edge.results.document.result import CELL_CLASSES, SlideResult
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Site
from edge.results.formats.shipped.table import FORMATS
from edge.results.reading.sidecars import read_sidecars
from edge.results.slides.completeness import Completeness
from edge.results.slides.history import NoHistory
from edge.results.slides.resolvers import Resolvers
from edge.results.slides.slide_results import SlideRules, slide_results
from edge.sidecar import now

_COLUMNS: Final = 80


def largest_slide(workspace: Workspace) -> SlideResult | None:
    """The result of the slide with the most cells.

    Returns:
        None if the model has other classes than a differential, or nothing was labelled.

    Raises:
        BundleError: the bundle is damaged.
        StorageError: the sidecars cannot be read.
    """
    cells = list(read_sidecars(workspace.export))
    if any(set(cell.probabilities) - set(CELL_CLASSES) for cell in cells):
        return None
    bundle = read_bundle_errors(workspace.bundle)
    rules = SlideRules(
        # The simulated analyzer has ended: no cell is missing.
        completeness=Completeness(marker=None, quiet_s=0.0),
        errors=lambda of_slide: errors_of_slide(of_slide, [bundle]),
        # One of them is shown; nothing is sent.
        takes_several_slides=True,
    )
    report = slide_results(cells, Resolvers(), rules=rules, history=NoHistory(), now=now())
    return max(report.new, key=lambda result: len(result.cells), default=None)


def write_files(result: SlideResult, folder: Path) -> str:
    """Write the result in every format that carries it, and say where, or why not.

    Raises:
        StorageError: a file cannot be written.
    """
    context = Context(load_code_map(), Site())
    lines = [f"files for a LIS, under {folder}"]
    for name, form in FORMATS.items():
        misfit = form.misfit(result, context)
        path = folder / name / f"{result.result_id}{form.suffix}"
        if misfit is None:
            atomic.make_folder(path.parent)
            atomic.write_file(path, form.write(result, context))
        text = str(path.relative_to(folder)) if misfit is None else f"none: {misfit}"
        indent = " " * 16
        lines += textwrap.wrap(
            f"{name:14}{text}", _COLUMNS, initial_indent="  ", subsequent_indent=indent
        )
    return "\n".join(lines)
