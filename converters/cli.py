"""`edge-convert`: converts a trained classifier to a bundle for the workstation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from converters.cli_options import build_parser
from edge.command.run import run_command
from edge.errors import WITHOUT_INT8, ConfigError
from edge.files.scratch import scratch_folder
from edge.text.printable import printable, printable_lines

if TYPE_CHECKING:
    from converters.accuracy.gate import Gate
    from converters.engines.request import Target
    from converters.targets.request import ConversionRequest


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(
        lambda: _run(arguments),
        debug=arguments.debug,
        on_interrupt="interrupted; nothing was written.",
        tidies_up=True,
    )


def _run(arguments: argparse.Namespace) -> int:
    import logging

    from converters.model_files.folders import model_in
    from edge.manifest import MANIFEST_NAME

    logging.basicConfig(level=logging.ERROR)
    if (arguments.model / MANIFEST_NAME).is_file():
        if arguments.new_card:
            raise ConfigError(
                f"{arguments.model} is a bundle, which contains its card. Give the model that it "
                "was made from."
            )
        return _adapt(arguments) if arguments.adapt else _add_engines(arguments)
    if arguments.adapt:
        raise ConfigError(
            f"{arguments.model} is no bundle; --adapt takes NAME.edge, which edge-convert wrote."
        )
    arguments.model = model_in(arguments.model)
    if arguments.new_card:
        return _write_card(arguments)
    return _convert(arguments)


def _write_card(arguments: argparse.Namespace) -> int:
    """Write a card to fill in."""
    import shlex

    from converters.model_files.shards import card_of

    if not arguments.model.exists():
        raise ConfigError(f"{arguments.model} is no file; give a model.pt or model.onnx.")
    try:
        from converters.new_card.write import write_new_card
    except ModuleNotFoundError as error:
        raise _missing_package(error) from error
    model: Path = arguments.model
    print(f"reading {printable(model.name)} ...", file=sys.stderr)
    card = write_new_card(model, arguments.card or card_of(model))
    words = ["edge-convert", str(model), "--int8"]
    words += ["--calibration", "IMAGES", "--validation", "LABELLED"]
    words += ["--card", str(card.path)] if arguments.card else []
    words += ["--trust-pickle", card.trust] if card.trust else []
    known = ", if you know who made the file and let its code run," if card.trust else ""
    print(
        printable_lines(
            f"wrote {card.path}: replace FILL IN in {card.marks} places and check the guesses, "
            f"then{known}\n  {shlex.join(words)}\n"
            "IMAGES: some hundred exported images. "
            "LABELLED: a folder that holds a folder of images for each class."
        )
    )
    return 0


def _missing_package(error: ModuleNotFoundError) -> ConfigError:
    from edge.system.installation import install_command

    return ConfigError(f"edge-convert needs {error.name}; {install_command('convert')}.")


def _adapt(arguments: argparse.Namespace) -> int:
    """Give a bundle a new last layer; needs onnx, but not torch."""
    from dataclasses import replace

    from edge.command.progress import StepProgress

    try:
        from converters.adapt.adapt import adapt
        from converters.adapt.bundle import write_adapted
        from converters.adapt.request import adapt_request
        from converters.adapt.signed import FOLDER, export_signed
        from converters.adapt.text import describe_adapted
    except ModuleNotFoundError as error:
        raise _missing_package(error) from error
    request = adapt_request(arguments, _gate(arguments))
    with scratch_folder("edge-convert-") as scratch:
        if request.labelled.is_file():
            folder = scratch / FOLDER
            if code := export_signed(request.labelled, folder):
                return code
            request = replace(request, labelled=folder)
        with StepProgress(sys.stderr) as progress:
            adapted = adapt(request, progress.update)
            write_adapted(adapted)
    print(printable_lines(describe_adapted(adapted)))
    return 0


def _add_engines(arguments: argparse.Namespace) -> int:
    """Add engines to an existing bundle; needs neither torch nor onnx."""
    from converters.engines.request import find_targets, parse_request
    from converters.inputs.card import image_source

    if not arguments.engine:
        raise ConfigError(
            f"{arguments.model} is already a bundle; to add engines to it, give --engine tensorrt, "
            "or --engine tensorrt-rtx:sm86,sm89 for other machines; to fit it to another "
            "laboratory, give --adapt LABELLED."
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

    from converters.accuracy.comparison import Validation
    from converters.accuracy.validation_size import require_enough_images
    from converters.engines.build import add_engines
    from converters.engines.report import describe_engines
    from converters.engines.request import EngineOptions
    from converters.targets.request import labelled_images
    from edge.bundle import load_bundle
    from edge.command.progress import StepProgress

    options = EngineOptions(
        portability=arguments.portability,
        version_compatible=arguments.version_compatible,
        max_batch=arguments.max_batch,
        gate=_gate(arguments),
    )
    classes = load_bundle(bundle).classes
    with scratch_folder("edge-convert-") as scratch:
        images = labelled_images(validation, classes, scratch) if validation else None
        if images and not arguments.allow_weak_validation:
            require_enough_images(images, classes)
        judged = Validation.from_images(images, classes) if images else None
        with StepProgress(sys.stderr) as progress:
            engines = add_engines(bundle, targets, options, judged, progress.update)
    return describe_engines(engines)


def _convert(arguments: argparse.Namespace) -> int:
    from converters.engines.request import find_targets, parse_request
    from edge.command.progress import StepProgress

    # Checked first, so that a missing library or GPU is reported before the long conversion.
    targets = find_targets([parse_request(text) for text in arguments.engine])
    request = _request(arguments)
    print(f"opening {printable(arguments.model.name)} ...", file=sys.stderr)
    try:
        from converters.console import describe, fallback_text
        from converters.convert import convert
    except ModuleNotFoundError as error:
        raise _missing_package(error) from error
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
        # Printed last, where people look first.
        print(printable(f"warning: FP32 only: {fallback_text(report)}"), file=sys.stderr)
        return WITHOUT_INT8
    return 0


def _target_here() -> list[Target]:
    """This machine's GPU, if an engine can be built for it; otherwise print why not."""
    from converters.engines.request import Target, local_target

    here = local_target()
    if isinstance(here, Target):
        return [here]
    print(
        f"note: no TensorRT engine was built here: {here}\n"
        "      The service builds one from the bundle if it finds TensorRT and a GPU."
    )
    return []


def _request(arguments: argparse.Namespace) -> ConversionRequest:
    from converters.bundle.place import require_target
    from converters.inputs.card import find_card, image_source, read_card
    from converters.targets.request import MIN_CALIBRATION_IMAGES, ConversionRequest

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
    calibration = image_source(arguments.calibration, Path())
    validation = image_source(arguments.validation, Path())
    folders = (calibration, validation, card.calibration, card.validation)
    sources = [source for source in folders if isinstance(source, Path)]
    sources += [arguments.reference] if arguments.reference else []
    require_target(target, [arguments.model, *sources], overwrite=arguments.overwrite)
    return ConversionRequest(
        model=arguments.model,
        card=card,
        target=target,
        int8=arguments.int8,
        calibration=calibration,
        validation=validation,
        reference=arguments.reference,
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
    import os

    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "microscope-edge" / "calibration"


def _gate(arguments: argparse.Namespace) -> Gate:
    """The limits of the gate file, overridden by the command line's."""
    from converters.accuracy.gate import Gate, read_gate

    limits = read_gate(arguments.gate) if arguments.gate else {}
    flags = {"max_drop_points": arguments.max_drop, "min_agreement": arguments.min_agreement}
    return Gate(**{**limits, **{name: v for name, v in flags.items() if v is not None}})


if __name__ == "__main__":
    sys.exit(main())
