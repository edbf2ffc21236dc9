"""The options of `edge-convert`."""

from __future__ import annotations

import argparse
from typing import Final

from edge.backends.trt.plan import MAX_BATCH, PORTABILITIES, SAME_GPU
from edge.command.parser import CommandParser, add_common_options
from edge.command.values import given_path, whole_number

# More cells than a slide has; TensorRT reserves memory for as many.
_MOST_BATCH: Final = 4096


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line; its values are read in `converters.cli`."""
    parser = CommandParser(
        prog="edge-convert",
        description="Convert a trained classifier to a bundle for the workstation.",
    )
    add_common_options(parser)
    parser.add_argument(
        "model",
        type=given_path,
        help="model.pt, .pt2, .onnx ..., or the folder of one; or NAME.edge for engines or --adapt",
    )
    parser.add_argument("--int8", action="store_true", help="quantize to INT8")
    parser.add_argument(
        "--card", type=given_path, help="model card (default: MODEL.yaml beside it)"
    )
    parser.add_argument(
        "--new-card",
        action="store_true",
        help="write a model card to fill in, with guesses from the file, and convert nothing",
    )
    parser.add_argument("--out", type=given_path, help="bundle to write (default: NAME.edge here)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bundle")
    parser.add_argument("--calibration", metavar="DIR", help="images to calibrate on, or 'drawn'")
    parser.add_argument(
        "--calibration-images",
        type=whole_number(1),
        default=256,
        metavar="N",
        help="at most N of them (256)",
    )
    parser.add_argument(
        "--validation", metavar="DIR", help="one folder of images per class, or 'drawn'"
    )
    parser.add_argument(
        "--reference",
        type=given_path,
        metavar="DIR",
        help="images of the laboratory where it will work, no labels needed (default: those of "
        "the calibration folder)",
    )
    _add_gate_options(parser)
    parser.add_argument("--no-cache", action="store_true", help="always calibrate again")
    parser.add_argument(
        "--trust-pickle",
        metavar="sha256:HEX",
        help="run the code that is pickled in the model file with this hash",
    )
    _add_adapt_options(parser)
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
    parser.add_argument(
        "--gate", type=given_path, metavar="FILE", help="all limits of the accuracy gate"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="with --int8: write nothing if an INT8 graph misses the gate or cannot be made (exit "
        "code 4), instead of a bundle without it",
    )


def _add_adapt_options(parser: argparse.ArgumentParser) -> None:
    adapting = parser.add_argument_group("Another laboratory", "For a bundle NAME.edge.")
    adapting.add_argument(
        "--adapt",
        type=given_path,
        metavar="LABELLED",
        help="a folder of images per class, 20 or more of each, or results.yaml for the cells "
        "signed on the review page: fit a new last layer to them and write a new bundle "
        "(default: NAME-SITE.edge here)",
    )
    adapting.add_argument(
        "--site", metavar="SITE", help="short name of the laboratory (default: the folder's name)"
    )


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    engines = parser.add_argument_group(
        "TensorRT engines", "Also for a bundle NAME.edge instead of a model."
    )
    engines.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="LIBRARY[:TARGETS]",
        help="tensorrt: for this machine's GPU; tensorrt-rtx:sm86,sm89,sm120: for other GPUs, "
        "needs none here (default: tensorrt if it and a GPU are here)",
    )
    engines.add_argument(
        "--portability",
        choices=PORTABILITIES,
        default=SAME_GPU,
        help="GPUs that can run a tensorrt engine; more GPUs cost speed (%(default)s)",
    )
    engines.add_argument(
        "--version-compatible",
        action="store_true",
        help="newer TensorRT of the same major version can run it; a larger engine",
    )
    engines.add_argument(
        "--max-batch",
        type=whole_number(1, _MOST_BATCH),
        default=MAX_BATCH,
        metavar="N",
        help="most images in one call (64)",
    )
    engines.add_argument(
        "--tensorrt8", action="store_true", help="also write the INT8 graph for TensorRT 8"
    )
