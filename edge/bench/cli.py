"""`edge-bench`: how fast a bundle is on this machine, at every level and in every mode."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.bench.options import COMPARE, build_parser, plan_of
from edge.bench.plan import Plan
from edge.command.progress import StepProgress
from edge.command.run import run_command
from edge.errors import ConfigError

__all__ = ["build_parser", "main"]

_DRAWN_COUNT: Final = 64
_DRAWN_SEED: Final = 11


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    if arguments.command == COMPARE:
        return run_command(lambda: _compare(arguments), debug=arguments.debug)
    words = sys.argv[1:] if argv is None else argv
    return run_command(lambda: _measure(arguments, words), debug=arguments.debug, tidies_up=True)


def _compare(arguments: argparse.Namespace) -> int:
    # What measures and compares takes a second to import, which --version need not wait for.
    from edge.bench.compare.comparison import compare_files
    from edge.bench.compare.table import comparison_as_text

    comparison = compare_files(
        arguments.before,
        arguments.after,
        allow_percent=arguments.allow,
        across_machines=arguments.across_machines,
    )
    print(comparison_as_text(comparison))
    return comparison.exit_code


def _measure(arguments: argparse.Namespace, words: list[str]) -> None:
    from edge.bench.page.page import page
    from edge.bench.places import require_places
    from edge.bench.report.table import table
    from edge.bench.run import TIMED, Tell, run
    from edge.bundle import load_bundle
    from edge.files import atomic
    from edge.files.scratch import scratch_folder

    plan = plan_of(arguments)
    require_places(plan.output, {"--json": arguments.json, "--html": arguments.html})
    bundle = load_bundle(arguments.bundle)
    with scratch_folder(".edge-bench-", plan.output) as scratch:
        images = _images(plan, scratch)
        print(f"plan: {plan.text}", file=sys.stderr)
        with StepProgress(sys.stderr, times=(TIMED,)) as progress:
            tell = Tell(_once(), progress.update)
            found = run(plan, bundle, images, scratch, tell, ["edge-bench", *words])
    # First the files: the reader of stdout may be gone by now.
    if arguments.json:
        atomic.write_file(arguments.json, (json.dumps(found) + "\n").encode())
    if arguments.html:
        atomic.write_file(arguments.html, page(found).encode())
    print(table(found))


def _once() -> Callable[[str], None]:
    """Prints each line once: a back end says the same for every number of threads."""
    said: set[str] = set()

    def tell(line: str) -> None:
        if line not in said:
            said.add(line)
            print(line, file=sys.stderr)

    return tell


def _images(plan: Plan, scratch: Path) -> list[Path]:
    from edge.image_folders.walk import find_images

    if plan.images is None:
        return _draw(scratch / "drawn")
    paths = find_images(plan.images).paths
    if not paths:
        raise ConfigError(f"{plan.images} holds no .jpg or .png images; give a folder with some.")
    return paths


def _draw(folder: Path) -> list[Path]:
    from edge.demo.analyzer import drawn_images
    from edge.files import atomic

    folder.mkdir()
    paths = []
    for number, (_, content) in enumerate(drawn_images(_DRAWN_COUNT, _DRAWN_SEED)):
        path = folder / f"{number:04}.jpg"
        atomic.write_file(path, content)
        paths.append(path)
    return paths


if __name__ == "__main__":
    sys.exit(main())
