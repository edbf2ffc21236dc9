"""From sidecars to slides, differentials, and files and messages for a LIS."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.command.parser import CommandParser, add_common_options
from edge.command.run import run_command
from edge.results.commands.cells import CELLS
from edge.results.commands.codes import CODES
from edge.results.commands.command import Command
from edge.results.commands.export import EXPORT
from edge.results.commands.install import install_commands
from edge.results.commands.openelis_profile import OPENELIS_PROFILE
from edge.results.commands.review.audit import AUDIT
from edge.results.commands.review.review import REVIEW
from edge.results.commands.send import SEND
from edge.results.commands.slides.complete import COMPLETE
from edge.results.commands.slides.show import SHOW
from edge.results.commands.tail import TAIL
from edge.results.commands.verify import VERIFY
from edge.text.printable import printable_lines

# One module of `edge/results/commands` each, in the order of the help text.
COMMANDS: tuple[Command, ...] = (
    *(SHOW, COMPLETE, CELLS, TAIL, VERIFY, EXPORT, REVIEW, SEND, AUDIT),
    *(CODES, OPENELIS_PROFILE),
    *install_commands(lambda: build_parser()),  # noqa: PLW0108 - it is defined below
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `edge.errors`)."""
    arguments = build_parser().parse_args(argv)
    chosen: Command = arguments.command
    return run_command(
        lambda: chosen.run(arguments, _show),
        debug=arguments.debug,
        is_private=True,
        tidies_up=True,
    )


def build_parser() -> CommandParser:
    """The parser of `edge-results` and its subcommands."""
    parser = CommandParser(prog="edge-results", description=__doc__)
    add_common_options(parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        child = subparsers.add_parser(command.name, help=command.help, description=command.help)
        child.add_argument("--debug", action="store_true", help="show tracebacks")
        command.add_options(child)
        child.set_defaults(command=command)
    return parser


def _show(text: str) -> None:
    # A name in it may contain control characters.
    print(printable_lines(text), flush=True)


if __name__ == "__main__":
    sys.exit(main())
