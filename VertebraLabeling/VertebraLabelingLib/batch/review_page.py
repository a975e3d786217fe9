"""One static page to look through a batch: failures first, then the least certain scans, each with its picture.

The page loads nothing but the pictures beside it, runs no script, and escapes every word that came from a file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from urllib.parse import quote

from ..core.labels import LOW_CONFIDENCE
from .jobs import Skip
from .scan_job import FAILED, SKIPPED, ScanResult

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vertebral levels: review</title>
<style>
body { margin: 1.5rem; background: #101418; color: #e8ecf0; font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .2rem 0; }
.faint { color: #93a0ab; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; margin-top: 1.2rem; }
article { background: #1a2027; border-radius: .5rem; padding: .8rem; border-top: 4px solid #58d68d; }
article.low { border-color: #ffb33c; }
article.failed { border-color: #ff5a4f; }
article.skipped { border-color: #5a6570; }
.warning { color: #ffb33c; }
.error { color: #ff8a80; }
img { width: 100%; margin-top: .6rem; border-radius: .3rem; display: block; }
a { color: inherit; }
</style>
</head>
<body>
"""


def review_page(results: Sequence[ScanResult], pictures: Collection[str], skipped: Sequence[Skip] = ()) -> str:
    """The page as HTML.

    Args:
        results: all scans of the folder.
        pictures: names of the scans that have a ``<name>.png`` beside the page.
        skipped: what the last run passed over.
    """
    ordered = sorted(results, key=_worst_first)
    doubtful = sum(_kind(result) == "low" for result in results)
    failed = sum(result.status == FAILED for result in results)
    passed = sum(result.status == SKIPPED for result in results) + len(skipped)
    more = f", {passed} skipped" if passed else ""
    told = (
        f"{len(results)} scans, {failed} failed{more}, {doubtful} with a warning or a confidence below {LOW_CONFIDENCE}"
    )
    hint = "" if pictures else '<p class="faint">Label with --format mrk.json,png to see the pictures here.</p>\n'
    head = f'<h1>Vertebral levels: review</h1>\n<p class="faint">{told}. Least certain first.</p>\n{hint}'
    cards = "\n".join(_card(result, result.name in pictures) for result in ordered)
    rest = "".join(f'<p class="faint">skipped: {escape(s.path)} ({escape(s.reason)})</p>\n' for s in skipped)
    return f'{_HEAD}{head}<main class="cards">\n{cards}\n</main>\n{rest}</body>\n</html>\n'


def _worst_first(result: ScanResult) -> tuple:
    group = {FAILED: 0, SKIPPED: 2}.get(result.status, 1)
    return group, 1.0 if result.confidence is None else result.confidence, -len(result.warnings), result.name


def _kind(result: ScanResult) -> str:
    """Class of a card."""
    if result.status in (FAILED, SKIPPED):
        return result.status
    low = result.confidence is not None and result.confidence < LOW_CONFIDENCE
    return "low" if low or result.warnings else "sure"


def _card(result: ScanResult, picture: bool) -> str:
    lines = [f"<h2>{escape(result.name or result.path)}</h2>"]
    if result.points:
        levels, worst = result.levels, min(result.points, key=lambda point: point[4])
        found = f"{levels[0]}-{levels[-1]}" if len(levels) > 1 else levels[0]
        lines.append(f"<p>{escape(found)}, {len(levels)} levels, least certain {escape(worst[0])} ({worst[4]:.2f})</p>")
    if result.counted:
        lines.append(f"<p>{escape(result.counted)}</p>")
    lines += [f'<p class="warning">{escape(warning)}</p>' for warning in result.warnings]
    if result.message:
        lines.append(f'<p class="{"error" if result.status == FAILED else "faint"}">{escape(result.message)}</p>')
    lines.append(f'<p class="faint">{escape(result.path)}</p>')
    if picture:
        source = quote(f"{result.name}.png")
        lines.append(f'<a href="{source}"><img src="{source}" loading="lazy" alt="{escape(result.name)}"></a>')
    return f'<article class="{_kind(result)}">' + "".join(lines) + "</article>"
