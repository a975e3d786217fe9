"""How a spine was counted, and what its vertebrae are called by another rule.

Seven cervical, twelve thoracic and five lumbar vertebrae are usual; about one person in ten has another number. There
the name of a vertebra depends on where the count begins, so a result says which landmarks it was counted from, and what
the other count would give.

The solver names what is seen (T13 is a thirteenth rib-bearing vertebra). By the other rules a name is nothing but the
place of a vertebra in its spine: the first is C1, or the one on the sacrum L5, and the others follow one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ..errors import InputError
from .anatomy import USUAL_LEVELS
from .count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM, OTHERWISE, RULES
from .label_warning import DENS, FIRST_RIB, LANDMARK_WORDS, LANDMARKS, LAST_RIB, SACRUM
from .labels import GIVEN, SpineLabels
from .marked import marked as _

COUNT = "count"  # in SpineLabels.provenance, as Count.to_json writes it
THORACIC, LUMBAR = 12, 5
_NAMES = (*USUAL_LEVELS, "L6")  # by place
_L1 = USUAL_LEVELS.index("L1")  # its place in a usual spine
_LAST = ("L4", "L5", "L6")  # what may lie on the sacrum
_FARTHEST = 3  # places between two rules: of a count that no spine has


_NUMBERS = {4: _("four"), 5: _("five"), 6: _("six"), 11: _("eleven"), 12: _("twelve"), 13: _("thirteen")}
_NAMED_BY = {
    FROM_ABOVE: _("the names are counted from above, seven, twelve and five"),
    FROM_SACRUM: _("the names are counted from the sacrum up, five, twelve and seven"),
}


@dataclass(frozen=True)
class Count:
    """From where a spine was counted, to which numbers, and how its vertebrae are named.

    Attributes:
        landmarks: those of :data:`.label_warning.LANDMARKS` that are in view, head to foot.
        ribs: rib-bearing vertebrae; ``None`` where the first rib or the last one is not in view.
        lumbar: vertebrae between the last rib and the sacrum; ``None`` where one of them is not in view.
        more: 1 where a T13 is seen, -1 where no T12 is, else 0.
        last: what the vertebra on the sacrum is seen as; ``None`` where the sacrum is not in view.
        rule: one of :data:`.count_rules.RULES`, as the user chose it.
        offset: by how many places the names stand below those from above; ``None``: the vertebrae are named as what
            is seen, because that is the rule or the rule cannot name them.
        by_user: the user has named a vertebra, or a list has given its level.
    """

    landmarks: tuple[str, ...] = ()
    ribs: int | None = None
    lumbar: int | None = None
    more: int = 0
    last: str | None = None
    rule: str = AS_SEEN
    offset: int | None = None
    by_user: bool = False

    @property
    def is_usual(self) -> bool:
        """Nothing that was counted has another number than usual."""
        return self.ribs in (None, THORACIC) and self.lumbar in (None, LUMBAR)

    @property
    def named_by(self) -> str:
        """The rule that the names follow: the chosen one, or :data:`.count_rules.AS_SEEN` where it names nothing."""
        return AS_SEEN if self.offset is None else self.rule

    def place(self, level: str) -> int:
        """How many vertebrae of this spine lie above what is seen as a level."""
        if level == "T13":
            return _L1
        return _NAMES.index(level) + (self.more if level.startswith("L") else 0)

    def name(self, level: str) -> str | None:
        """What the vertebra that is seen as a level is called; ``None`` above C1 and below L6."""
        return level if self.offset is None else _name_at(self.place(level) + self.offset)

    def level(self, name: str) -> str | None:
        """What a vertebra with this name is seen as; ``None`` where the rule gives no such name."""
        if self.offset is None:
            return name
        place = place_of(name)
        if place is None:
            return None
        place -= self.offset
        if self.more == 1 and place == _L1:
            return "T13"
        return _name_at(place - self.more if place >= _L1 + min(self.more, 0) else place)

    def offset_by(self, rule: str) -> int | None:
        """:attr:`offset` of a rule, from the landmarks; ``None`` where those that it counts from are not in view."""
        if rule == FROM_ABOVE and {DENS, FIRST_RIB}.intersection(self.landmarks):
            return 0
        if rule == FROM_SACRUM and self.last is not None:
            return _NAMES.index("L5") - self.place(self.last)
        return None

    def otherwise(self, level: str) -> tuple[str, str] | None:
        """The other rule, and what it calls the vertebra that is seen as a level; ``None`` where none differs."""
        for rule in (FROM_SACRUM, FROM_ABOVE, AS_SEEN):
            offset = self.offset_by(rule)
            if rule == self.named_by or (offset is None and rule != AS_SEEN):
                continue
            other = level if offset is None else _name_at(self.place(level) + offset)
            if other not in (None, self.name(level)):
                return rule, other
        return None

    def sentence(self, translate: Callable[[str], str] = str, given: bool = False) -> str:
        """How it was counted, for the user: one sentence.

        Args:
            given: what :attr:`by_user` tells of was given by a list that does not say who named it.
        """
        parts = [self._start(translate, given), *self._unusual(translate)]
        if unseen := self._unseen():
            parts.append(translate(unseen))
        if self.offset is not None:
            parts.append(translate(_NAMED_BY[self.rule]))
        return "; ".join(parts) + "."

    def _start(self, translate: Callable[[str], str], given: bool) -> str:
        if self.by_user and given:
            return translate(_("Counted from the levels that were given"))
        if self.by_user:
            return translate(_("Counted from what the user has named"))
        if not self.landmarks:
            return translate(_("Counted by the looks of single vertebrae, no landmark is in view"))
        *others, last = (translate(LANDMARK_WORDS[name]) for name in self.landmarks)
        seen = translate(_("{first} and {last}")).format(first=", ".join(others), last=last) if others else last
        return translate(_("Counted from {landmarks}")).format(landmarks=seen)

    def _unusual(self, translate: Callable[[str], str]) -> list[str]:
        """Clauses about the numbers that are other than usual."""
        parts, ribs, lumbar = [], _NUMBERS.get(self.ribs), _NUMBERS.get(self.lumbar)
        if self.more:
            subject = "T13" if self.more > 0 else "L1"
            what = _("the last that bears ribs is named {level}") if self.more > 0 else _("below T11 follows {level}")
            if self.ribs not in (None, THORACIC):
                last, following = _("the last is named {level}"), _("the next is named {level}")
                parts.append(translate(_("{number} vertebrae bear ribs")).format(number=translate(ribs)))
                parts[-1] += ", " + translate(last if self.more > 0 else following).format(level=self.name(subject))
            else:
                parts.append(translate(what).format(level=self.name(subject)))
            parts += self._by_another_rule(subject, translate)
        if self.last not in (None, "L5"):
            text = _("the vertebra on the sacrum is named {level}")
            if lumbar:
                text = _("{number} vertebrae lie between the last rib and the sacrum, the lowest is named {level}")
            parts.append(translate(text).format(number=translate(lumbar or ""), level=self.name(self.last)))
            parts += [] if self.more else self._by_another_rule(self.last, translate)
        return parts

    def _by_another_rule(self, level: str, translate: Callable[[str], str]) -> list[str]:
        found = self.otherwise(level)
        return [translate(OTHERWISE[found[0]]).format(other=found[1])] if found else []

    def _unseen(self) -> str:
        """What the field of view does not show of the other end; empty where the count was closed at both."""
        upper = {DENS, FIRST_RIB}.intersection(self.landmarks)
        lower = {LAST_RIB, SACRUM}.intersection(self.landmarks)
        if upper and not lower:
            return _("the last rib and the sacrum are not in view")
        if lower and not upper:
            return _("the first rib is not in view")
        return ""

    def to_json(self) -> dict[str, object]:
        """Plain JSON types; see :meth:`from_json`."""
        return {**asdict(self), "landmarks": list(self.landmarks)}

    @classmethod
    def from_json(cls, data: object) -> Count | None:
        """Read what :meth:`to_json` made; ``None`` for anything else, as a damaged scene may hold it."""
        if not isinstance(data, Mapping) or not isinstance(data.get("landmarks"), list):
            return None
        if not all(name in data and is_known(data[name]) for name, is_known in _KNOWN.items()):
            return None
        values = {name: data[name] for name in _KNOWN}
        count = cls(**{**values, "landmarks": tuple(values["landmarks"])})
        if count.rule == AS_SEEN and count.offset is not None:
            return None
        return count if count.name(count.last or "L1") else None


def place_of(name: str) -> int | None:
    """How many vertebrae lie above one of this name where they are counted one by one; ``None`` of T13."""
    return _NAMES.index(name) if name in _NAMES else None


def _name_at(place: int) -> str | None:
    """The name of a place, C1 is 0; ``None`` above it and below L6."""
    return _NAMES[place] if 0 <= place < len(_NAMES) else None


def _is_one_of(*values: object) -> Callable[[object], bool]:
    """Whether something is one of these values, and of its type: 1 is not true."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


_KNOWN: dict[str, Callable[[object], bool]] = {
    "landmarks": lambda seen: len(seen) <= len(LANDMARKS) and all(map(_is_one_of(*LANDMARKS), seen)),
    "ribs": _is_one_of(None, *_NUMBERS),
    "lumbar": _is_one_of(None, *_NUMBERS),
    "more": _is_one_of(-1, 0, 1),
    "last": _is_one_of(None, *_LAST),
    "rule": _is_one_of(*RULES),
    "offset": _is_one_of(None, *range(-_FARTHEST, _FARTHEST + 1)),
    "by_user": _is_one_of(False, True),
}


def check_rule(rule: str) -> str:
    """The rule.

    Raises:
        InputError: it is none of :data:`.count_rules.RULES`.
    """
    if rule not in RULES:
        raise InputError(f"{rule!r} is no way to count: use {', '.join(RULES)}.")
    return rule


def stored_count(labels: SpineLabels) -> Count | None:
    """The count that a result keeps; ``None`` where it keeps none."""
    return Count.from_json(labels.provenance.get(COUNT))


def rule_of(labels: SpineLabels) -> str:
    """The rule that was chosen for the names of a result, one of :data:`.count_rules.RULES`."""
    return (stored_count(labels) or Count()).rule


def how_counted(labels: SpineLabels, translate: Callable[[str], str] = str) -> str:
    """How a result was counted, one sentence for the user; empty where it does not tell."""
    count = stored_count(labels)
    if count is None:
        return ""
    given = {point.status for point in labels.points if point.is_named} == {GIVEN}
    return count.sentence(translate, given)


def names_by(rule: str, levels: Sequence[str], count: Count) -> dict[str, str] | None:
    """What the vertebrae of a chain are called by a rule.

    Args:
        rule: one of :data:`.count_rules.RULES`.
        levels: as they are seen.
        count: of the chain.

    Returns:
        Level -> name; ``None`` where the rule cannot name them all: what it counts from is not in view, or a vertebra
        would lie above C1 or two below L5.
    """
    if rule == AS_SEEN:
        return {level: level for level in levels}
    offset = count.offset_by(rule)
    names = {level: None if offset is None else _name_at(count.place(level) + offset) for level in levels}
    return None if None in names.values() else names
