"""`edge-convert`: a trained classifier to a bundle for the workstation."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import ExitStack
from pathlib import Path

from edge.errors import ConfigError, EdgeError
from edge.progress import Progress


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    try:
        return _run(arguments)
    except EdgeError as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written.", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        summary = " ".join(str(error).split())[:300]
        print(
            f"error: unexpected {type(error).__name__}: {summary}. Run again with --debug.",
            file=sys.stderr,
        )
        return 1


def _run(arguments: argparse.Namespace) -> int:
    print("loading onnx ...", file=sys.stderr)
    try:
        from converters.calibration import MIN_IMAGES
        from converters.calibration_cache import default_cache_folder
        from converters.card import find_card, image_source, read_card
        from converters.convert import convert
        from converters.gate import Gate, read_gate
        from converters.report import describe
        from converters.request import Request
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"edge-convert needs {error.name}; pip install 'microscope-edge[convert]'."
        ) from error

    if arguments.calibration_images < MIN_IMAGES:
        raise ConfigError(
            f"--calibration-images is {arguments.calibration_images}; give {MIN_IMAGES} or more."
        )
    if not arguments.model.exists():
        raise ConfigError(f"{arguments.model} is no file; give a model.pt or model.onnx.")
    card = read_card(arguments.card or find_card(arguments.model))
    target = arguments.out or Path(f"{card.name}.edge")
    if target.exists() and not arguments.overwrite:
        raise ConfigError(f"{target} exists; give --overwrite to replace it or --out another.")
    request = Request(
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
        cache=None if arguments.no_cache else default_cache_folder(),
        gate=Gate(**_limits(arguments, read_gate(arguments.gate) if arguments.gate else {})),
    )
    with _StepProgress() as progress:
        report = convert(request, progress.update)
    print(describe(report))
    return 0


def _limits(arguments: argparse.Namespace, limits: dict[str, float]) -> dict[str, float]:
    """A gate file's limits, and over them the flags."""
    flags = {"max_drop_points": arguments.max_drop, "min_agreement": arguments.min_agreement}
    return {**limits, **{name: value for name, value in flags.items() if value is not None}}


class _StepProgress(ExitStack):
    """One progress line per step; a new step ends the line of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._step: str | None = None
        self._line: Progress | None = None

    def update(self, step: str, done: int, total: int) -> None:
        if step != self._step or self._line is None:
            self.close()
            self._step, self._line = step, self.enter_context(Progress(step, sys.stderr))
        self._line.update(done, total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge-convert", description=__doc__)
    parser.add_argument("model", type=Path, help="model file of any kind: .pt, .pt2, ONNX ...")
    parser.add_argument("--int8", action="store_true", help="quantize to INT8")
    parser.add_argument("--card", type=Path, help="model card (default: MODEL.yaml beside it)")
    parser.add_argument("--out", type=Path, help="bundle to write (default: NAME.edge here)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bundle")
    parser.add_argument("--calibration", metavar="DIR", help="images to calibrate on, or 'drawn'")
    parser.add_argument(
        "--calibration-images", type=int, default=256, metavar="N", help="at most N of them (256)"
    )
    parser.add_argument(
        "--validation", metavar="DIR", help="one folder of images per class, or 'drawn'"
    )
    parser.add_argument(
        "--max-drop", type=float, metavar="POINTS", help="accuracy that INT8 may lose (0.5)"
    )
    parser.add_argument(
        "--min-agreement", type=float, metavar="SHARE", help="labels equal to FP32's (0.99)"
    )
    parser.add_argument("--gate", type=Path, metavar="FILE", help="all limits of the accuracy gate")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="write nothing where INT8 misses the gate, in place of an FP32 bundle",
    )
    parser.add_argument("--no-cache", action="store_true", help="calibrate anew in any case")
    parser.add_argument(
        "--trust-pickle",
        metavar="sha256:HEX",
        help="let the code run that is pickled in the model file of this hash",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser
