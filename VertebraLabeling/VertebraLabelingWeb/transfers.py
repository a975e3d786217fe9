"""The two ways of files through HTTP: a CT comes in, results go out."""

from __future__ import annotations

import logging
import shutil

from aiohttp import web
from VertebraLabelingLib.batch.naming import safe_name
from VertebraLabelingLib.batch.outputs import WRITERS
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingMRML.points import readLabels

from . import uploads
from .page import Page

FORMATS = ("mrk.json", "csv", "verse.json")

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
        return [web.post("/upload", self._upload), web.get("/save/{format}", self._save)]

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
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            log.warning("an upload broke off", exc_info=True)
            raise
        self._page.open_upload(path, folder)
        return web.json_response({})

    async def _save(self, request: web.Request) -> web.Response:
        name, scene = request.match_info["format"], self._page.scene
        if name not in FORMATS or scene.points_node is None:
            raise web.HTTPNotFound(text="There are no vertebrae to save: label a CT first.")
        writer, folder = WRITERS[name], self._page.folder.fresh("save")
        path = folder / f"{safe_name(scene.name)}{writer.suffix}"
        try:
            writer.write(path, readLabels(scene.points_node), scene.scan, scene.name)
            data = path.read_bytes()
        except VertebraLabelingError as error:
            raise web.HTTPConflict(text=str(error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        response = web.Response(body=data, content_type="text/csv" if name == "csv" else "application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="{_ascii(path.name)}"'
        response.headers["Cache-Control"] = "no-store"
        return response


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
