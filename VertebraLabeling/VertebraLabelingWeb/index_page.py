"""trame's own page, with our style and the script that watches over the connection before anything else."""

from __future__ import annotations

from html import escape
from pathlib import Path

INDEX = "index.html"
_BASE = '<base href="." />'


def index_page(folder: Path, static_url: str, settings: dict[str, object]) -> str:
    """The text of the page.

    Args:
        folder: of trame's client.
        static_url: where our style and scripts are served, relative to the page.
        settings: ``data-`` attributes of the script.
    """
    text = (folder / INDEX).read_text(encoding="utf-8")
    data = "".join(f' data-{name}="{escape(str(value))}"' for name, value in settings.items())
    ours = (
        f'<link rel="stylesheet" href="{static_url}/page.css"><script src="{static_url}/connection.js"{data}></script>'
    )
    place = _BASE if _BASE in text else "<head>"
    return text.replace(place, f"{place}{ours}", 1)
