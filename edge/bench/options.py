"""The command line of `edge-bench`, and the plan that it gives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from edge.backends.names import BACKENDS
from edge.bench.compare.limits import DEFAULT_ALLOW_PERCENT
from edge.bench.measure.amount import Amount
from edge.bench.plan import BURST, DEFAULT_LEVELS, DEFAULT_SECONDS, LEVELS, MODES, Plan
from edge.command.parser import CommandParser, add_common_options
from edge.command.values import given_path, whole_number

PRECISIONS: Final = ("fp32", "fp16", "int8")
_MOST: Final = 1_000_000
_MOST_BATCH: Final = 4096
_MOST_THREADS: Final = 256
_MOST_BURST: Final = 10_000
COMPARE: Final = "compare"
MEASURE: Final = "measure"
_USAGE: Final = (
    "edge-bench [options] NAME.edge\n       edge-bench compare [options] BEFORE.json AFTER.json"
)
_DESCRIPTION: Final = (
    "Measure how fast a bundle, a folder NAME.edge, is on this machine, or compare two "
    "measurements."
)
_COMPARES: Final = (
    "Say what became faster or slower between two documents of --json. The exit code is 0 if "
    "nothing became slower, 4 if something did, and 2 if nothing did but some could not be compared"
    "."
)
_COMPARES_SHORT: Final = "compare two documents of --json"
# Options of earlier versions.
_REPLACED: Final = {
    "--daemon": "--level file --mode offline",
    "--stream": "--level file --mode open-loop-constant --rate R",
    "--rounds": "--seconds S or --samples N",
}


class BenchParser(CommandParser):
    """Measures, unless the first word is `compare`.

    argparse knows no command that may be left out. So a line is read by the parser of its command;
    this one has the options of both for help, manual page and completion.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.own: Mapping[str, CommandParser] = {}

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As in argparse; `command` is the name of the command."""
        words = list(sys.argv[1:] if args is None else args)
        command = COMPARE if words[:1] == [COMPARE] else MEASURE
        parser = self.own[command]
        found, rest = parser.parse_known_args(words[command == COMPARE :], namespace)
        found.command = command
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Name what replaced an option of an earlier version; end with exit code 2."""
        for word in message.split():
            if word in _REPLACED and message.startswith("unrecognized"):
                # Not with a hint at the most similar option of today.
                argparse.ArgumentParser.error(self, f"{word} is replaced by {_REPLACED[word]}")
        super().error(message)


def build_parser() -> BenchParser:
    """The command line."""
    measure = CommandParser(prog="edge-bench", usage=_USAGE, description=_DESCRIPTION)
    _add_measure(measure)
    compare = CommandParser(prog=f"edge-bench {COMPARE}", description=_COMPARES)
    _add_compare(compare)
    shown = BenchParser(prog="edge-bench", usage=_USAGE, description=_DESCRIPTION)
    shown.own = {MEASURE: measure, COMPARE: compare}
    measure.whole = shown
    commands = shown.add_subparsers(prog="edge-bench", metavar=COMPARE, parser_class=CommandParser)
    _add_compare(
        commands.add_parser(COMPARE, help="compare two documents of --json", description=_COMPARES)
    )
    _add_measure(shown)
    return shown


def _add_measure(parser: CommandParser) -> None:
    add_common_options(parser)
    parser.add_argument("bundle", type=given_path, help="folder NAME.edge")
    _add_what(parser)
    _add_how_long(parser)
    _add_outputs(parser)


def _add_compare(parser: CommandParser) -> None:
    parser.add_argument(
        "before", type=given_path, metavar="BEFORE.json", help="document to compare with"
    )
    parser.add_argument("after", type=given_path, metavar="AFTER.json", help="document in question")
    parser.add_argument(
        "--allow",
        type=float,
        default=DEFAULT_ALLOW_PERCENT,
        metavar="PERCENT",
        help="a change up to this size is no regression (%(default)g)",
    )
    parser.add_argument(
        "--across-machines", action="store_true", help="compare although the machines differ"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_what(parser: CommandParser) -> None:
    parser.add_argument(
        "--level",
        type=_several(LEVELS),
        metavar="LEVEL,LEVEL",
        help=f"what one request is: {', '.join(LEVELS)} ({','.join(DEFAULT_LEVELS)}); file goes "
        "through the real edge-daemon",
    )
    parser.add_argument(
        "--mode", choices=MODES, default="single-stream", help="how requests come (%(default)s)"
    )
    parser.add_argument(
        "--rate", type=_positive, metavar="R", help="images per second that arrive in an open loop"
    )
    parser.add_argument(
        "--burst",
        type=whole_number(1, _MOST_BURST),
        metavar="N",
        help=f"images that arrive at once in a burst ({BURST})",
    )
    parser.add_argument(
        "--batches",
        type=_numbers(_MOST_BATCH),
        default=(1,),
        metavar="N,N",
        help="images in one request (1)",
    )
    parser.add_argument(
        "--threads",
        type=_numbers(_MOST_THREADS),
        default=(1,),
        metavar="N,N",
        help="threads inside one inference (1)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(1, 16),
        metavar="N",
        help="requests served at the same time (as many as edge-daemon has by default)",
    )
    parser.add_argument(
        "--precision",
        type=_several(PRECISIONS),
        default=(),
        metavar="P,P",
        help="of int8, fp16, fp32 (all in a single stream, else the fastest one)",
    )
    text = "what runs the model (default: %(default)s)"
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help=text)
    parser.add_argument(
        "--against",
        type=_names,
        default=(),
        metavar="NAME,NAME",
        help="measure other ways of running the model beside ours, such as torch,openvino",
    )
    parser.add_argument(
        "--images", type=given_path, metavar="DIR", help="images (default: drawn cells)"
    )


def _add_how_long(parser: CommandParser) -> None:
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--seconds",
        type=_positive,
        metavar="S",
        help=f"of all series together, after warm-up ({DEFAULT_SECONDS:g})",
    )
    amount.add_argument(
        "--samples",
        type=whole_number(1, _MOST),
        metavar="N",
        help="of each series: requests, passes over the images offline, or bursts",
    )

    parser.add_argument(
        "--warm-up",
        type=_positive,
        metavar="S",
        default=5.0,
        help="seconds after which a warm-up of one series ends although calls still differ "
        "(%(default)g)",
    )


def _add_outputs(parser: CommandParser) -> None:
    parser.add_argument(
        "--output",
        type=given_path,
        metavar="DIR",
        default=Path(),
        help="folder on the disk for sidecars (here)",
    )
    parser.add_argument("--json", type=given_path, metavar="FILE", help="write the document too")
    parser.add_argument(
        "--html", type=given_path, metavar="FILE", help="write a page with pictures"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def plan_of(arguments: argparse.Namespace) -> Plan:
    """The plan, checked.

    Raises:
        ConfigError: a combination has no meaning.
    """
    seconds = None if arguments.samples else arguments.seconds or DEFAULT_SECONDS
    amount = Amount(seconds, arguments.samples, arguments.warm_up)
    plan = Plan(
        levels=arguments.level or DEFAULT_LEVELS,
        mode=MODES[arguments.mode],
        amount=amount,
        rate=arguments.rate,
        batches=arguments.batches,
        threads=arguments.threads,
        workers=arguments.workers,
        burst=arguments.burst,
        precisions=arguments.precision,
        backend=arguments.backend,
        against=arguments.against,
        images=arguments.images,
        output=arguments.output,
    )
    plan.check()
    return plan


def _several(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads some of `known`, with commas between; in the order of `known`."""

    def read(text: str) -> tuple[str, ...]:
        given = text.split(",")
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r}; choose from {', '.join(known)}")
        return tuple(name for name in known if name in given)

    return read


def _names(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; give names such as torch,openvino")
    return tuple(dict.fromkeys(names))


def _numbers(most: int) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        parts = text.split(",")
        has_digits = all(part.isdecimal() and len(part) <= len(str(most)) for part in parts)
        found = sorted({int(part) for part in parts}) if has_digits else [0]
        if not 1 <= found[0] <= found[-1] <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r}; give whole numbers from 1 to {most}, such as 1,8,16"
            )
        return tuple(found)

    return read


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1e-3 <= found <= _MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 0.001 to {_MOST:,}")
    return found
