"""The names of a result: by what is seen, from above, or from the sacrum up.

The solver, its evidence and its costs know one naming only, that of what is seen. Here is the one place where names are
translated, both ways: a result gets the names of the user's rule (:func:`named`), and what the user says of it is read
in these names (:func:`as_seen`). :class:`.Count` in the provenance keeps what the translation needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.count_rules import AS_SEEN, RULES
from ..core.counting import COUNT, Count, check_rule, names_by, place_of, rule_of, stored_count
from ..core.label_warning import COUNTS, RULE, VARIANT, LabelWarning
from ..core.labels import LabeledPoint, SpineLabels
from ..core.spacing import scale_of
from ..errors import InputError
from .chain_ends import count_of

HIGHEST_OF_TWO_COUNTS = 0.9
"""Confidence of a level that nobody has confirmed, where another count gives a vertebra of the scan another name."""


def alternative_names(labels: SpineLabels) -> dict[str, dict[str, str]]:
    """What the vertebrae would be called by each other rule: rule -> name now -> name then.

    A rule is left out where it cannot name all, or would change nothing. :func:`counted_by` applies one.
    """
    count = count_in(labels)
    seen = {point.level: count.level(point.level) for point in labels.points}
    found = {}
    for rule in RULES if None not in seen.values() else ():
        names = names_by(rule, list(seen.values()), count)
        others = {level: names[each] for level, each in seen.items()} if names else {}
        if any(level != other for level, other in others.items()):
            found[rule] = others
    return found


def counted_by(labels: SpineLabels, rule: str, given: Mapping[str, str] | None = None) -> SpineLabels:
    """A result under the names of a rule; places, statuses and evidence stay.

    Where the rule cannot name all, the vertebrae are named as what is seen, and a warning says so.

    Args:
        labels: named by any rule.
        rule: one of :data:`.count_rules.RULES`.
        given: level as seen -> name that the user has given that vertebra by this rule; the others follow from there.

    Raises:
        InputError: the given names contradict each other, or a name of ``labels`` does not exist in their rule.
    """
    if check_rule(rule) == rule_of(labels) == AS_SEEN:
        return labels
    return named(as_seen(labels), rule, given)


def reading_of(labels: SpineLabels, rule: str) -> Count:
    """The count by which names that the user gives by a rule are read; that of an earlier result by the same rule."""
    count = stored_count(labels) or Count()
    if rule == count.rule:
        return count
    return Count(rule=rule, offset=None if rule == AS_SEEN else 0)


def given_names(labels: SpineLabels) -> dict[str, str]:
    """Level as seen -> name of what the user has confirmed; nothing where what is seen is named."""
    count = stored_count(labels) or Count()
    return _given(count, as_seen(labels, count))


def counted_by_user(labels: SpineLabels) -> SpineLabels:
    """A result whose vertebrae the user has all named: one after the other, whatever was counted before."""
    count = count_in(labels)
    offset = None if count.offset is None else 0
    provenance = {**labels.provenance, COUNT: Count(rule=count.rule, offset=offset, by_user=True).to_json()}
    return replace(labels, provenance=provenance)


def count_in(labels: SpineLabels) -> Count:
    """The count of a result; of one that keeps none, as far as its evidence tells."""
    count, levels = stored_count(labels), [point.level for point in labels.points]
    if count is not None or labels.evidence is None or not levels:
        count = count or Count()
        has_t13 = count.offset is None and "T13" in levels  # the user may have named one since
        return replace(count, more=1) if has_t13 else count
    points = np.array([point.ras for point in labels.points])
    scale = scale_of(points, np.array([LEVEL_INDEX[level] for level in levels]))
    return count_of(levels, points, scale, labels.evidence)


def as_seen(labels: SpineLabels, count: Count | None = None) -> SpineLabels:
    """A result under the names of what is seen; what is told of its names alone is left out.

    Args:
        labels: named by any rule.
        count: by which their names are read; their own by default.

    Raises:
        InputError: a name does not exist in their rule.
    """
    count = count or count_in(labels)
    points = tuple(replace(point, level=seen_as(point.level, count)) for point in labels.points)
    others = (warning for warning in labels.warnings if not _is_of_names(warning))
    warnings = tuple(filter(None, (_renamed(warning, count.level) for warning in others)))
    provenance = {**labels.provenance, COUNT: replace(count, rule=AS_SEEN, offset=None).to_json()}
    return replace(labels, points=points, warnings=warnings, provenance=provenance)


def seen_as(name: str, count: Count) -> str:
    """What a vertebra of this name is seen as.

    Raises:
        InputError: the rule of the count gives no such name.
    """
    level = count.level(name)
    if level is None and name in LEVEL_INDEX:
        raise InputError(
            f"There is no {name} where vertebrae are counted one by one, as chosen: name another vertebra, or choose "
            "to name what is seen."
        )
    return name if level is None else level  # no level at all: the solver says so


def named(labels: SpineLabels, rule: str, given: Mapping[str, str] | None = None) -> SpineLabels:
    """A result of the solver, which names what is seen, under the names of a rule; see :func:`counted_by`.

    Raises:
        ContradictingNamesError: the given names contradict each other.
    """
    count = replace(count_in(labels), rule=rule, offset=None)
    if rule != AS_SEEN:
        count = replace(count, offset=_offset(count, rule, given or {}))
    nameless = [point.level for point in labels.points if count.name(point.level) is None]
    cannot = rule != AS_SEEN and (count.offset is None or bool(nameless))
    if cannot:
        count = replace(count, offset=None)
        _check_agree({level: level for level in given or ()}, given or {})
    points = [replace(point, level=count.name(point.level)) for point in labels.points]
    others = filter(None, (_renamed(warning, count.name) for warning in labels.warnings))
    warnings = (*_of_names(count, [point.level for point in labels.points]), *others)
    if any(warning.kind == COUNTS for warning in warnings):
        points = [_of_two_counts(point) for point in points]
    if cannot:
        warnings += (LabelWarning(RULE, tuple(nameless[:1]), text=rule),)
    provenance = {**labels.provenance, COUNT: count.to_json()}
    return replace(labels, points=tuple(points), warnings=warnings, provenance=provenance)


def in_names(count: Count, solve: Callable[[Count], SpineLabels]) -> SpineLabels:
    """A solution under the names of the user's rule, in which those that the user has given stay.

    What these mean depends on whether the spine has a T13 or lacks T12. Where the solution finds that otherwise than it
    was taken for, so that they do not fit any more, they are read once more.

    Args:
        count: by which the user's names are read.
        solve: with the user's names as a count reads them; gives points that are named as what is seen.

    Raises:
        ContradictingNamesError: they fit neither way.
    """
    labels = solve(count)
    try:
        return named(labels, count.rule, _given(count, labels))
    except ContradictingNamesError:
        count = replace(count, more=count_in(labels).more)
        labels = solve(count)
        return named(labels, count.rule, _given(count, labels))


def _given(count: Count, labels: SpineLabels) -> dict[str, str]:
    """Level as seen -> name of what the user has confirmed; nothing where the names are those of what is seen."""
    if count.offset is None:
        return {}
    levels = [point.level for point in labels.points if point.is_named]
    return {level: name for level in levels if (name := count.name(level)) is not None}


class ContradictingNamesError(InputError):
    """Vertebrae that the user has named do not follow each other as the rule counts."""


def _offset(count: Count, rule: str, given: Mapping[str, str]) -> int | None:
    """:attr:`.Count.offset` from the user's names, where there are any, else from the landmarks."""
    if not given:
        return count.offset_by(rule)
    level, name = next(iter(given.items()))
    offset = place_of(name) - count.place(level)
    _check_agree({level: replace(count, offset=offset).name(level) for level in given}, given)
    return offset


def _check_agree(names: Mapping[str, str | None], given: Mapping[str, str]) -> None:
    """Raise ContradictingNamesError where vertebrae would not bear the names that the user has given them."""
    if names != given:
        raise ContradictingNamesError(
            f"What you named ({', '.join(given.values())}) does not fit the spine where vertebrae are counted one by "
            "one, as chosen: rename or delete what is wrong, or choose to name what is seen."
        )


def _of_names(count: Count, levels: Sequence[str]) -> list[LabelWarning]:
    """What is told of the names: another number of vertebrae than usual, and what another rule calls them.

    Args:
        levels: as they are seen.
    """
    said, ribs, lumbar = [], count.ribs, count.lumbar
    if count.more < 0:
        said.append(LabelWarning(COUNTS, (count.name("L1"),), numbers={"ribs": ribs} if ribs else {}))
    subjects = [("T13", {"ribs": ribs} if ribs else {})] if count.more > 0 else []
    if count.last in ("L4", "L6") or "L6" in levels:
        subjects.append((count.last or "L6", {"lumbar": lumbar} if lumbar else {}))
    for level, numbers in subjects:
        name, other = count.name(level), count.otherwise(level)
        if other is not None:
            said.append(LabelWarning(COUNTS, (name,), (other[1],), numbers=numbers, text=other[0]))
        elif name == level:
            said.append(LabelWarning(VARIANT, (level,)))
    return said


def _is_of_names(warning: LabelWarning) -> bool:
    """Whether a warning follows from the count and the rule, as those of :func:`_of_names`, and not from landmarks."""
    return warning.kind in (RULE, VARIANT) or (warning.kind == COUNTS and not warning.landmarks)


def _renamed(warning: LabelWarning, name: Callable[[str], str | None]) -> LabelWarning | None:
    """A warning under other names; ``None`` where one of its vertebrae has none."""
    levels = tuple(name(level) for level in warning.levels)
    beside = warning.beside if warning.kind == COUNTS else tuple(name(level) for level in warning.beside)
    return None if None in (*levels, *beside) else replace(warning, levels=levels, beside=beside)


def _of_two_counts(point: LabeledPoint) -> LabeledPoint:
    if point.is_named:
        return point
    return replace(point, confidence=min(point.confidence, HIGHEST_OF_TWO_COUNTS))
