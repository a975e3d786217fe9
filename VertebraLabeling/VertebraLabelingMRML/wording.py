"""Words for what the Slicer panel and the browser page both say."""

from .points import levelPoints, readLabels
from .translation import tr as _


def stageText(stage, secondsLeft):
    """One line about a run: its stage, and the time left where it is known (s, else ``None``)."""
    left = "" if secondsLeft is None else ", " + timeLeft(secondsLeft)
    return f"{stage[:1].upper()}{stage[1:]}{left}"


def timeLeft(seconds):
    """A waiting time in words, no finer than it can be known."""
    if seconds < 10:
        return _("a few seconds left")
    if seconds < 60:
        return _("about {n} s left").format(n=10 * round(seconds / 10))
    return _("about {n} min left").format(n=max(1, round(seconds / 60)))


def summary(pointsNode):
    """What a run found, and how long it took."""
    provenance = readLabels(pointsNode).provenance
    count = len(levelPoints(pointsNode))
    text = _("1 vertebra labeled") if count == 1 else _("{count} vertebrae labeled").format(count=count)
    if "seconds" in provenance:
        text += _(" in {seconds:.1f} s on the {device}").format(
            seconds=provenance["seconds"], device=str(provenance.get("device", "cpu")).upper()
        )
    return text + "."
