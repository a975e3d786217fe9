"""``vertebra-labeling``: the engine on the command line.

A sub-command is a module with ``add_parser(subparsers)``, which sets ``run(arguments) -> exit code``. Modules import
what is heavy (torch, SimpleITK, matplotlib) inside ``run``, so that ``--help`` and ``evaluate`` need none of it.

Exit codes: 0 all done, 1 something failed (each failure is one sentence on stderr), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from .. import __version__
from ..errors import VertebraLabelingError
from ..system.idle_threads import sleep_while_waiting
from ..system.streams import any_stream, configure_logging

COMMANDS = {
    "label": "VertebraLabelingLib.commands.label",
    "carry": "VertebraLabelingLib.commands.carry",
    "evaluate": "VertebraLabelingLib.commands.evaluate",
    "serve": "VertebraLabelingWeb.serve_command",
    "review": "VertebraLabelingLib.commands.review",
    "benchmark": "VertebraLabelingTraining.commands.benchmark",
    "train": "VertebraLabelingTraining.commands.train",
}
"""Sub-commands and their modules, in the order of the help text; those of other packages may be absent."""

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """The parser with all sub-commands."""
    parser = argparse.ArgumentParser(
        prog="vertebra-labeling",
        description="Find and name the vertebrae C1-L5 in CT. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--debug", action="store_true", help="log everything to stderr, with tracebacks")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command, module in COMMANDS.items():
        package = module.split(".")[0]
        if find_spec(package) is None:
            _add_absent(subparsers, command, package)
        else:
            import_module(module).add_parser(subparsers)
    return parser


def _add_absent(subparsers: argparse._SubParsersAction, command: str, package: str) -> None:
    """A sub-command that says which package it lacks."""

    def run(arguments: argparse.Namespace) -> int:
        raise VertebraLabelingError(
            f"The command {command} needs the package {package}, which is not installed here: "
            "install it with pip from the project's repository."
        )

    parser = subparsers.add_parser(command, help=f"not installed here (needs {package})", add_help=False)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with any_stream():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    configure_logging(arguments.debug)
    sleep_while_waiting()
    try:
        return arguments.run(arguments)
    except VertebraLabelingError as error:
        logger.debug("failed", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept, run the same command again to continue", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
