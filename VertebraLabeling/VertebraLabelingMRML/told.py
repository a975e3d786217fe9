"""What the user is told of the vertebrae of a node. The Slicer panel and the browser page both show it."""

from dataclasses import dataclass, field
from itertools import groupby

from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM
from VertebraLabelingLib.core.counting import how_counted, rule_of
from VertebraLabelingLib.core.label_warning import span
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.solver.naming import alternative_names, count_in

from .points import hasPoints, provenanceOf, readLabels
from .translation import tr as _


@dataclass(frozen=True)
class Told:
    """Texts about the vertebrae of a node.

    Attributes:
        warnings: one sentence each.
        howCounted: one sentence; empty where the points do not tell.
        rule: by which they are named, one of ``core.count_rules.RULES``; ``None`` where there are no vertebrae.
        levels: names that one of them can be given, head to foot.
        others: rule -> which names it would change, for each rule that gives other names.
    """

    warnings: tuple = ()
    howCounted: str = ""
    rule: str = None
    levels: tuple = LEVELS
    others: dict = field(default_factory=dict)


def told(pointsNode):
    """:class:`Told` of a markups node; of ``None`` there is nothing to tell."""
    if pointsNode is None or not hasPoints(pointsNode):
        return Told()
    try:
        labels = readLabels(pointsNode)
    except VertebraLabelingError as error:
        return Told((str(error),), rule=ruleOf(pointsNode), levels=levelsOf(pointsNode))
    warnings = tuple(warning.sentence(_) for warning in labels.warnings)
    others = {rule: _renaming(names) for rule, names in alternative_names(labels).items()}
    return Told(warnings, how_counted(labels, _), rule_of(labels), levelsOf(pointsNode), others)


def ruleOf(pointsNode):
    """By which rule the vertebrae of a node are named; of one that does not tell, by what is seen."""
    return rule_of(SpineLabels((), provenance=provenanceOf(pointsNode)))


def levelsOf(pointsNode):
    """Names that a vertebra of a node can be given, head to foot: no T13 where they are counted one by one."""
    count = count_in(SpineLabels((), provenance=provenanceOf(pointsNode)))
    return tuple(level for level in LEVELS if level != "T13" or count.offset is None)


def ruleText(rule):
    """What a rule of counting is called where it is chosen."""
    return {
        AS_SEEN: _("Name what is seen"),
        FROM_ABOVE: _("Seven, twelve, five from above"),
        FROM_SACRUM: _("From the sacrum up"),
    }[rule]


def ruleTip(rule):
    """What a rule of counting does, in a sentence."""
    return {
        AS_SEEN: _("A thirteenth vertebra with ribs is T13, a sixth lumbar one is L6."),
        FROM_ABOVE: _("Seven cervical, twelve thoracic and five lumbar vertebrae are counted from C1 down."),
        FROM_SACRUM: _("Five lumbar, twelve thoracic and seven cervical vertebrae are counted from the sacrum up."),
    }[rule]


def actionText(rule):
    """What it is called to name all vertebrae by a rule."""
    return {
        AS_SEEN: _("Name what is seen"),
        FROM_ABOVE: _("Count from above"),
        FROM_SACRUM: _("Count from the sacrum"),
    }[rule]


def _renaming(names):
    """Which vertebrae get which other names, e.g. "T13-L5 become L1-L6"; of name now -> name then, head to foot."""
    runs = [list(run) for changed, run in groupby(names.items(), lambda pair: pair[0] != pair[1]) if changed]
    texts = []
    for run in runs:
        now, then = (span(levels) for levels in zip(*run))
        text = _("{now} becomes {then}") if len(run) == 1 else _("{now} become {then}")
        texts.append(text.format(now=now, then=then))
    return ", ".join(texts)
