"""How a spine was counted, and what its vertebrae are called by another rule.

Seven cervical, twelve thoracic and five lumbar vertebrae are usual; about one person in ten has another number. There
the name of a vertebra depends on where the count begins, so a result says which landmarks it was counted from, and what
the other count would give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .anatomy import USUAL_LEVELS
from .label_warning import DENS, FIRST_RIB, LANDMARK_WORDS, LANDMARKS, LAST_RIB, SACRUM

AS_SEEN, FROM_ABOVE, FROM_SACRUM = "seen", "above", "sacrum"
RULES = (AS_SEEN, FROM_ABOVE, FROM_SACRUM)
"""Name what is seen (a thirteenth rib-bearing vertebra is T13, a sixth lumbar one L6); count seven, twelve and five
from above; count five, twelve and seven from the sacrum up."""

COUNT = "count"  # in SpineLabels.provenance, as Count.to_json writes it
THORACIC, LUMBAR = 12, 5
_ALL = (*USUAL_LEVELS, "L6")


def _(text: str) -> str:
    """Mark a sentence for translation."""
    return text


_NUMBERS = {4: _("Four"), 5: _("Five"), 6: _("Six"), 11: _("Eleven"), 12: _("Twelve"), 13: _("Thirteen")}


@dataclass(frozen=True)
class Count:
    """From where a spine was counted, and to which numbers.

    Attributes:
        landmarks: those of :data:`.label_warning.LANDMARKS` that are in view, head to foot.
        ribs: rib-bearing vertebrae; ``None`` where the first rib or the last one is not in view.
        lumbar: vertebrae between the last rib and the sacrum; ``None`` where one of them is not in view.
    """

    landmarks: tuple[str, ...] = ()
    ribs: int | None = None
    lumbar: int | None = None

    @property
    def is_usual(self) -> bool:
        """Nothing that was counted has another number than usual."""
        return self.ribs in (None, THORACIC) and self.lumbar in (None, LUMBAR)

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """How it was counted, for the user."""
        if not self.landmarks:
            return translate(_("Counted by the looks of single vertebrae: no landmark is in view."))
        seen = translate(_(" and ")).join(translate(LANDMARK_WORDS[name]) for name in self.landmarks)
        parts = [translate(_("Counted from {landmarks}.")).format(landmarks=seen)]
        if self.ribs not in (None, THORACIC):
            parts.append(translate(_("{number} vertebrae bear ribs.")).format(number=translate(_NUMBERS[self.ribs])))
        if self.lumbar not in (None, LUMBAR):
            text = _("{number} vertebrae lie between the last rib and the sacrum.")
            parts.append(translate(text).format(number=translate(_NUMBERS[self.lumbar])))
        if self.is_usual and (unseen := self._unseen()):
            parts.append(translate(unseen))
        return " ".join(parts)

    def _unseen(self) -> str:
        """What the field of view does not show of the other end; empty where the count was closed at both."""
        upper = {DENS, FIRST_RIB}.intersection(self.landmarks)
        lower = {LAST_RIB, SACRUM}.intersection(self.landmarks)
        if upper and not lower:
            return _("The last rib and the sacrum are not in view.")
        if lower and not upper:
            return _("The first rib is not in view.")
        return ""

    def to_json(self) -> dict[str, object]:
        """Plain JSON types; see :meth:`from_json`."""
        return {"landmarks": list(self.landmarks), "ribs": self.ribs, "lumbar": self.lumbar}

    @classmethod
    def from_json(cls, data: object) -> Count | None:
        """Read what :meth:`to_json` made; ``None`` for anything else, as a damaged scene may hold it."""
        if not isinstance(data, Mapping) or not isinstance(data.get("landmarks"), list):
            return None
        numbers, seen = (data.get("ribs"), data.get("lumbar")), data["landmarks"]
        if not all(number is None or (type(number) is int and number in _NUMBERS) for number in numbers):
            return None
        if len(seen) > len(LANDMARKS) or not all(isinstance(name, str) and name in LANDMARKS for name in seen):
            return None
        return cls(tuple(seen), *numbers)


def names_by(rule: str, levels: Sequence[str], sacrum_seen: bool) -> dict[str, str] | None:
    """What the vertebrae of a chain are called by a rule.

    Args:
        rule: one of :data:`RULES`.
        levels: head to foot, as they are seen.
        sacrum_seen: the last one lies on the sacrum.

    Returns:
        Level -> name; ``None`` where the rule cannot name them all: the sacrum is not in view, or a vertebra would lie
        above C1 or two below L5.
    """
    if rule == AS_SEEN or not levels:
        return {level: level for level in levels}
    places = [_place(level, levels) for level in levels]
    if rule == FROM_SACRUM:
        if not sacrum_seen:
            return None
        up = _ALL.index("L5") - places[-1]
        places = [place + up for place in places]
    if places[0] < 0 or places[-1] >= len(_ALL):
        return None
    return dict(zip(levels, (_ALL[place] for place in places)))


def _place(level: str, levels: Sequence[str]) -> int:
    """How many vertebrae lie above a level in the spine that a chain belongs to."""
    if level == "T13":
        return _ALL.index("L1")
    if not level.startswith("L"):
        return _ALL.index(level)
    more = "T13" in levels
    fewer = any(pair == ("T11", "L1") for pair in zip(levels, levels[1:]))
    return _ALL.index(level) + more - fewer
