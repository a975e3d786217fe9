"""Whole pages that say one thing: the page is in use, a link lacks its token, the connection has ended."""

from __future__ import annotations

from html import escape

from aiohttp import web

RETRY_S = 3

_STYLE = (
    "html{color-scheme:dark}body{margin:0;height:100vh;display:grid;place-items:center;background:#101317;"
    "color:#d7dde3;font:16px/1.5 system-ui,sans-serif}main{max-width:34rem;padding:2rem}h1{font-size:1.4rem;"
    "font-weight:600;color:#fff}"
)


def notice(status: int, title: str, text: str, retry: bool = False) -> web.Response:
    """A small page without scripts; with ``retry`` the browser asks again every few seconds."""
    again = f'<meta http-equiv="refresh" content="{RETRY_S}">' if retry else ""
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>Vertebra Labeling</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{escape(text)}</p></main></body></html>"
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(status=status, text=page, content_type="text/html", headers=headers)
