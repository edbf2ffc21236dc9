"""`edge-convert`: a trained classifier to a bundle for the workstation."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
import tempfile
from pathlib import Path

from converters.agreement import Validation
from converters.card import find_card, image_source, read_card
from converters.engine_report import describe_engines
from converters.engine_request import (
    EngineOptions,
    Target,
    find_targets,
    local_target,
    parse_request,
)
from converters.gate import Gate, read_gate
from converters.loading.other_kinds.folders import model_in
from converters.loading.other_kinds.shards import card_of
from converters.onnx_to_engine import add_engines
from converters.request import MIN_CALIBRATION_IMAGES, Request, labelled_images
from converters.validation_size import require_enough_images
from edge.backends.plan import PORTABILITIES, SAME_GPU
from edge.backends.trt_build import MAX_BATCH
from edge.bundle import load_bundle
from edge.command import run_command
from edge.command_parser import CommandParser, add_common_options
from edge.errors import WITHOUT_INT8, ConfigError
from edge.installation import install_command
from edge.manifest import MANIFEST_NAME
from edge.printable import printable, printable_lines
from edge.progress import StepProgress


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    return run_command(
        lambda: _run(arguments),
        debug=arguments.debug,
        on_interrupt="interrupted; nothing was written.",
        tidies_up=True,
    )


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.model / MANIFEST_NAME).is_file():
        if arguments.new_card:
            raise ConfigError(
                f"{arguments.model} is a bundle, which has its card in it. Give the model that it "
                "was made of."
            )
        return _add_engines(arguments)
    arguments.model = model_in(arguments.model)
    if arguments.new_card:
        return _write_card(arguments)
    return _convert(arguments)


def _write_card(arguments: argparse.Namespace) -> int:
    """A card to fill in, where there is none yet."""
    if not arguments.model.exists():
        raise ConfigError(f"{arguments.model} is no file; give a model.pt or model.onnx.")
    try:
        from converters.new_card.write import write_new_card
    except ModuleNotFoundError as error:
        raise _lacks(error) from error
    model: Path = arguments.model
    print(f"reading {printable(model.name)} ...", file=sys.stderr)
    card = write_new_card(model, arguments.card or card_of(model))
    words = ["edge-convert", str(model), "--int8"]
    words += ["--card", str(card.path)] if arguments.card else []
    words += ["--trust-pickle", card.trust] if card.trust else []
    known = ", if you know who made the file and let its code run," if card.trust else ""
    print(
        printable_lines(
            f"wrote {card.path}: replace FILL IN in {card.marks} places and check the guesses, "
            f"then{known}\n  {shlex.join(words)}"
        )
    )
    return 0


def _lacks(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(f"edge-convert needs {error.name}; {install_command('convert')}.")


def _add_engines(arguments: argparse.Namespace) -> int:
    """Engines for a bundle that is there; needs neither torch nor onnx."""
    if not arguments.engine:
        raise ConfigError(
            f"{arguments.model} is a bundle already; give --engine tensorrt, or "
            "--engine tensorrt-rtx:sm86,sm89 for other machines, to add engines to it."
        )
    targets = find_targets([parse_request(text) for text in arguments.engine])
    source = image_source(arguments.validation, Path())
    print(_build_engines(arguments, arguments.model, targets, source))
    return 0


def _build_engines(
    arguments: argparse.Namespace,
    bundle: Path,
    targets: list[Target],
    validation: Path | str | None,
) -> str:
    options = EngineOptions(
        portability=arguments.portability,
        version_compatible=arguments.version_compatible,
        max_batch=arguments.max_batch,
        gate=_gate(arguments),
    )
    classes = load_bundle(bundle).classes
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as scratch:
        images = labelled_images(validation, classes, Path(scratch)) if validation else None
        if images and not arguments.allow_weak_validation:
            require_enough_images(images, classes)
        judged = Validation.from_images(images, classes) if images else None
        with StepProgress(sys.stderr) as progress:
            engines = add_engines(bundle, targets, options, judged, progress.update)
    return describe_engines(engines)


def _convert(arguments: argparse.Namespace) -> int:
    # What cannot be built is said before the long work, not after it.
    targets = find_targets([parse_request(text) for text in arguments.engine])
    request = _request(arguments)
    print(f"opening {printable(arguments.model.name)} ...", file=sys.stderr)
    try:
        from converters.convert import convert
        from converters.report import describe, fallback_text
    except ModuleNotFoundError as error:
        raise _lacks(error) from error
    with StepProgress(sys.stderr) as progress:
        report = convert(request, progress.update)
    print(printable_lines(describe(report)))
    for trace in report.traces if arguments.debug else ():
        print(printable_lines(trace), file=sys.stderr)
    targets = targets or (_target_here() if arguments.int8 else [])
    if targets:
        validation = request.validation or request.card.validation
        print(_build_engines(arguments, request.target, targets, validation))
    if report.fp32_reason:
        # The last line, where a person looks first.
        print(printable(f"warning: FP32 only: {fallback_text(report)}"), file=sys.stderr)
        return WITHOUT_INT8
    return 0


def _target_here() -> list[Target]:
    """This machine's GPU, where an engine can be built for it; otherwise a line that says why."""
    here = local_target()
    if isinstance(here, Target):
        return [here]
    print(
        f"note: no TensorRT engine was built here: {here}\n"
        "      The service builds one from the bundle where it finds TensorRT and a GPU."
    )
    return []


def _request(arguments: argparse.Namespace) -> Request:
    least = MIN_CALIBRATION_IMAGES
    if arguments.calibration_images < least:
        raise ConfigError(
            f"--calibration-images is {arguments.calibration_images}; give {least} or more."
        )
    if arguments.strict and not arguments.int8:
        raise ConfigError("--strict asks for INT8 graphs; give --int8 with it.")
    if not arguments.model.exists():
        raise ConfigError(f"{arguments.model} is no file; give a model.pt or model.onnx.")
    card = read_card(arguments.card or find_card(arguments.model))
    target = arguments.out or Path(f"{card.name}.edge")
    if target.exists() and not arguments.overwrite:
        raise ConfigError(f"{target} exists; give --overwrite to replace it or --out another.")
    return Request(
        model=arguments.model,
        card=card,
        target=target,
        int8=arguments.int8,
        calibration=image_source(arguments.calibration, Path()),
        validation=image_source(arguments.validation, Path()),
        calibration_limit=arguments.calibration_images,
        overwrite=arguments.overwrite,
        trust_pickle=arguments.trust_pickle,
        strict=arguments.strict,
        cache=None if arguments.no_cache else _default_cache_folder(),
        gate=_gate(arguments),
        tensorrt8=arguments.tensorrt8,
        allow_weak_validation=arguments.allow_weak_validation,
    )


def _default_cache_folder() -> Path:
    """`$XDG_CACHE_HOME/microscope-edge`, by default below the home folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "microscope-edge" / "calibration"


def _gate(arguments: argparse.Namespace) -> Gate:
    """A gate file's limits, and over them the flags."""
    limits = read_gate(arguments.gate) if arguments.gate else {}
    flags = {"max_drop_points": arguments.max_drop, "min_agreement": arguments.min_agreement}
    return Gate(**{**limits, **{name: v for name, v in flags.items() if v is not None}})


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="edge-convert",
        description="Convert a trained classifier to a bundle for the workstation.",
    )
    add_common_options(parser)
    parser.add_argument(
        "model",
        type=Path,
        help="model.pt, .pt2, .onnx ..., or the folder of one; or NAME.edge to add engines",
    )
    parser.add_argument("--int8", action="store_true", help="quantize to INT8")
    parser.add_argument("--card", type=Path, help="model card (default: MODEL.yaml beside it)")
    parser.add_argument(
        "--new-card",
        action="store_true",
        help="write a model card to fill in, with what the file tells, and convert nothing",
    )
    parser.add_argument("--out", type=Path, help="bundle to write (default: NAME.edge here)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bundle")
    parser.add_argument("--calibration", metavar="DIR", help="images to calibrate on, or 'drawn'")
    parser.add_argument(
        "--calibration-images", type=int, default=256, metavar="N", help="at most N of them (256)"
    )
    parser.add_argument(
        "--validation", metavar="DIR", help="one folder of images per class, or 'drawn'"
    )
    _add_gate_options(parser)
    parser.add_argument("--no-cache", action="store_true", help="calibrate anew in any case")
    parser.add_argument(
        "--trust-pickle",
        metavar="sha256:HEX",
        help="let the code run that is pickled in the model file of this hash",
    )
    _add_engine_options(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _add_gate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-weak-validation",
        action="store_true",
        help="judge on fewer than 30 validation images, or without some classes",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="accuracy that INT8 and FP16 may lose (0.5)",
    )
    parser.add_argument(
        "--min-agreement", type=float, metavar="SHARE", help="labels equal to FP32's (0.99)"
    )
    parser.add_argument("--gate", type=Path, metavar="FILE", help="all limits of the accuracy gate")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="with --int8: write nothing where a graph in INT8 misses the gate or cannot be made "
        "(exit code 4), in place of a bundle without it",
    )


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    engines = parser.add_argument_group(
        "TensorRT engines", "Also for a bundle NAME.edge in place of the model."
    )
    engines.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="LIBRARY[:TARGETS]",
        help="tensorrt: for this machine's GPU; tensorrt-rtx:sm86,sm89,sm120: for others, built "
        "without one (default: tensorrt where it and a GPU are here)",
    )
    engines.add_argument(
        "--portability",
        choices=PORTABILITIES,
        default=SAME_GPU,
        help="GPUs that may run a tensorrt engine; more cost speed (%(default)s)",
    )
    engines.add_argument(
        "--version-compatible",
        action="store_true",
        help="newer TensorRT of the same major version may run it; a larger engine",
    )
    engines.add_argument(
        "--max-batch", type=int, default=MAX_BATCH, metavar="N", help="images in one call (64)"
    )
    engines.add_argument(
        "--tensorrt8", action="store_true", help="write the INT8 graph that TensorRT 8 reads too"
    )


if __name__ == "__main__":
    sys.exit(main())
