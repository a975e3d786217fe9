"""The two ways of files through HTTP: a CT comes in, results go out."""

from __future__ import annotations

import asyncio
import logging
import shutil
import unicodedata
from functools import partial
from urllib.parse import quote

from aiohttp import web
from VertebraLabelingLib.batch.naming import safe_name
from VertebraLabelingLib.batch.outputs import DISC_PICTURE, DISCS, POINTS, STRAIGHT, STRAIGHT_POINTS, WRITERS
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingLib.review.snapshot import need_matplotlib
from VertebraLabelingLib.scans.read_scan import Scan
from VertebraLabelingMRML.points import readLabels

from . import uploads
from .page import Page

FORMATS = (POINTS, "csv", "verse.json")
DERIVED = (*DISCS.values(), "discs.nii.gz", DISC_PICTURE, STRAIGHT, STRAIGHT_POINTS)
"""Formats made from the vertebrae: what was corrected is not saved with them."""
KINDS = {".csv": "text/csv", ".json": "application/json", ".png": "image/png", ".gz": "application/gzip"}
ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"  # RFC 8187: all others are percent-encoded
NO_ROOM = "The server could not store the upload ({}): tell who runs it, and send the CT again."

log = logging.getLogger(__name__)


class Transfers:
    """HTTP handlers of one page.

    Args:
        page: what is opened and saved.
        upload_limit: bytes of one upload.
    """

    def __init__(self, page: Page, upload_limit: int) -> None:
        self._page, self._limit = page, upload_limit

    def routes(self) -> list[web.AbstractRouteDef]:
        """For aiohttp's router."""
        return [
            web.post("/upload", self._upload),
            web.get("/save/{format}", self._save, allow_head=False),  # a look at the headers saves nothing
            web.get("/kept/{key}.mrk.json", self._save_kept, allow_head=False),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        """Answers ``{}``, or ``{"error": sentence}``; then the connection is closed: more may be under way."""
        folder = self._page.folder.fresh("upload")
        try:
            path = await uploads.receive(request, folder, self._limit)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            response = web.json_response({"error": str(error)})
            response.force_close()
            return response
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, ConnectionError):
                raise
            log.warning("an upload could not be stored: %s", error.strerror)
            return web.json_response({"error": NO_ROOM.format(error.strerror)})
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            log.warning("an upload broke off", exc_info=True)
            raise
        self._page.opening.upload(path, folder)
        return web.json_response({})

    async def _save(self, request: web.Request) -> web.Response:
        name, scene = request.match_info["format"], self._page.scene
        if name not in (*FORMATS, *DERIVED) or scene.points_node is None:
            raise web.HTTPNotFound(text="There are no vertebrae to save: label a CT first.")
        scan = scene.scan  # another one may be open when the file is there: nothing is told of it then
        try:
            write = partial(self._written, name, readLabels(scene.points_node), scan, scene.name)
            response, notes = await asyncio.to_thread(write) if name in DERIVED else write()
        except VertebraLabelingError as error:
            if scene.scan is scan:
                self._page.refuse(error)
            raise web.HTTPConflict(text=str(error)) from error
        await response.prepare(request)
        await response.write_eof()  # raises where the connection was lost meanwhile
        if scene.scan is not scan:
            return response
        if name in FORMATS:
            self._page.saved()
        elif notes:
            self._page.tell(" ".join(notes))
        return response

    async def _save_kept(self, request: web.Request) -> web.Response:
        kept = self._page.offers.find(request.match_info["key"])
        if kept is None:
            raise web.HTTPNotFound(text="These corrections are not kept any more.")
        return self._written(POINTS, kept.labels, None, kept.scan)[0]

    def _written(
        self, format_name: str, labels: SpineLabels, scan: Scan | None, scan_name: str
    ) -> tuple[web.Response, tuple[str, ...]]:
        """A file to download, named as the scan, and sentences about it.

        Raises:
            VertebraLabelingError: it cannot be made.
        """
        if format_name == DISC_PICTURE:
            need_matplotlib()
        writer, folder = WRITERS[format_name], self._page.folder.fresh("save")
        path = folder / f"{safe_name(scan_name)}{writer.suffix}"
        try:
            notes = writer.write(path, labels, scan, scan_name) or ()
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"The file could not be made ({error.strerror or error}): free space there.") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        headers = {"Content-Disposition": attachment(path.name), "Cache-Control": "no-store"}
        return web.Response(body=data, content_type=KINDS[path.suffix], headers=headers), notes


def attachment(name: str) -> str:
    """The header that names a download, in any script: RFC 6266, with the name for old browsers in front."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join("_" if char in '"\\%' else char for char in plain)
    plain = f"scan{plain}" if plain.startswith(".") else plain  # nothing of the name was left
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=ATTRIBUTE_CHARACTERS)}"
