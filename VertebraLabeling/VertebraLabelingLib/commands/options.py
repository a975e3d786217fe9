"""Options that several sub-commands share."""

from __future__ import annotations

import argparse


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that labels: device, weights."""
    parser.add_argument("--device", type=device_name, default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--weights", metavar="FILE", help="model file (default: the one that comes with the program)")


def device_name(text: str) -> str:
    """A device as the command line takes it."""
    if text not in ("auto", "cpu", "cuda") and not (text.startswith("cuda:") and text[5:].isdigit()):
        raise argparse.ArgumentTypeError("must be auto, cpu, cuda or cuda:N")
    return text
