"""``vertebra-labeling serve [FILE|FOLDER...]``: see and correct labels in a browser."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec

from VertebraLabelingLib.commands.options import add_engine_options
from VertebraLabelingLib.errors import InputError, VertebraLabelingError

from .addresses import PublicUrl

_NO_WEB = "The browser page needs the extra 'web': pip install '.[web]' in the clone (Python 3.11 or newer)."

MOST_MINUTES = 7 * 24 * 60  # timers of the event loop take no infinity
MOST_MB = 10**9


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "serve",
        help="see and correct labels in a browser",
        description="Serve a page on which a CT is opened, labeled and corrected. One person at a time; the scan stays "
        "on this computer. Needs the extra 'web'.",
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="FILE|FOLDER",
        help="CT file, DICOM folder, or folder of both; a single scan is opened at once, of several one is chosen on "
        "the page",
    )
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="port to listen on (default: 8080)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this computer only); with any other, the page asks for the "
        "token that is printed",
    )
    add_engine_options(parser)
    parser.add_argument(
        "--upload-limit", type=float, default=2000, metavar="MB", help="largest upload, in MB (default: 2000)"
    )
    parser.add_argument(
        "--public-url",
        default="",
        metavar="URL",
        help="address under which a reverse proxy shows the page, e.g. https://reading.example.org/spine/; the page "
        "then asks for the token that is printed",
    )
    parser.add_argument(
        "--keep-session",
        type=float,
        default=60,
        metavar="MINUTES",
        help="how long a session that has lost its connection is kept (default: 60)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command; returns when it is interrupted. Wrong options and inputs are refused first."""
    if find_spec("trame_slicer") is None:
        raise VertebraLabelingError(_NO_WEB)
    if not arguments.keep_session >= 0 or not 0 < arguments.upload_limit <= MOST_MB:
        raise InputError("--keep-session or --upload-limit is no number that can be used: give minutes, and MB.")
    if arguments.public_url:
        PublicUrl.parse(arguments.public_url)
    from VertebraLabelingLib.batch.workers import LabelerSpec

    from .scans import served_scans

    jobs = served_scans(arguments.inputs)
    weights = os.path.abspath(arguments.weights) if arguments.weights else None  # the labeling runs in another folder
    LabelerSpec(weights, arguments.device).check()
    try:
        from VertebraLabelingWeb import server
    except ImportError as error:
        if (error.name or "").split(".")[0].startswith("VertebraLabelingLib"):
            raise
        raise VertebraLabelingError(_NO_WEB) from error
    network = {"device": arguments.device, "weights": weights}
    options = server.Options(
        host=arguments.host,
        port=arguments.port,
        upload_limit=int(arguments.upload_limit * 1e6),
        public_url=arguments.public_url,
        stay=server.Stay(keep=60 * min(arguments.keep_session, MOST_MINUTES)),
        arguments=network,
    )
    server.serve(jobs, options)
    return 0
