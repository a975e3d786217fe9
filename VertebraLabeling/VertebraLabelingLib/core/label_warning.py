"""What a user must know about a labeled scan, as data; :meth:`LabelWarning.sentence` puts it into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .anatomy import LEVEL_INDEX
from .count_rules import FROM_ABOVE, FROM_SACRUM, OTHERWISE
from .marked import marked as _

SHIFT, VARIANT, GAP, END, CUT, FURTHER = "shift", "variant", "gap", "end", "cut", "further"
IMPLANTS, TURNED, SMALL, CLIPPED, NO_GPU, NOTE = "implants", "turned", "small", "clipped", "no_gpu", "note"
ASTRAY, FRAME, COUNTS, RULE, BEYOND = "astray", "frame", "counts", "rule", "beyond"

SOLVER_KINDS = frozenset((SHIFT, VARIANT, COUNTS, GAP, END, CUT, FURTHER, RULE))
"""What the solver says of its chain: a new solution replaces these."""

REVIEW_KINDS = frozenset((SHIFT, COUNTS, GAP, END, FURTHER, IMPLANTS, ASTRAY, BEYOND))
"""Levels may be shifted, two counts differ, or vertebrae were or may have been missed: someone should look before the
points are used."""

OF_PLACES = frozenset((IMPLANTS, ASTRAY, BEYOND))
"""What is seen at certain vertebrae: it stays with them, whatever they are named."""

DENS, FIRST_RIB, LAST_RIB, SACRUM = "dens", "first_rib", "last_rib", "sacrum"
LANDMARKS = (DENS, FIRST_RIB, LAST_RIB, SACRUM)
"""Structures that a spine can be counted from, head to foot."""

RECORDED_WRONGLY_DEG = 60  # a patient turned further than this: the header is the likelier reason
_LARGEST = 1e6  # of a number in a sentence
_LONGEST_NOTE = 1000  # characters kept of a sentence that a scene file holds


LANDMARK_WORDS = {
    DENS: _("C2"),
    FIRST_RIB: _("the first rib"),
    LAST_RIB: _("the last rib"),
    SACRUM: _("the sacrum"),
}
_VARIANT_WORDS = {"T13": _("T13 found."), "L6": _("L6 or lumbarized S1 found.")}
_OTHER_NUMBERS = {
    ("ribs", 13): _("Thirteen vertebrae bear ribs, the last is named {level}"),
    ("lumbar", 4): _("Four vertebrae lie between the last rib and the sacrum, the lowest is named {level}"),
    ("lumbar", 6): _("Six vertebrae lie between the last rib and the sacrum, the lowest is named {level}"),
}
_NO_START = {
    FROM_ABOVE: _(
        "Neither C2 nor the first rib is in view, so the vertebrae are named as what is seen, not counted from above."
    ),
    FROM_SACRUM: _("The sacrum is not in view, so the vertebrae are named as what is seen, not counted from there."),
}
_NO_NAME = {
    FROM_ABOVE: _("Counted from above {level} would have no name, so the vertebrae are named as what is seen."),
    FROM_SACRUM: _("Counted from the sacrum {level} would have no name, so the vertebrae are named as what is seen."),
}


@dataclass(frozen=True)
class LabelWarning:
    """One thing to know.

    Attributes:
        kind: ``shift``: the levels may be shifted by one; ``variant``: T13 or L6 is named; ``counts``: another count
            gives a vertebra another name; ``gap``: levels between two named ones were not found, or, without levels, a
            vertebra may be missing there; ``end``: a level beyond an end of the chain was not found; ``beyond``: the
            image shows more of the patient beyond an end; ``cut``: the image edge cuts a vertebra; ``further``:
            vertebral bodies are seen far from the chain; ``implants``: metal; ``turned``: how the patient lies;
            ``small``: size of the spine; ``clipped``: values that the scan lacks; ``no_gpu``: labeled on the CPU;
            ``astray``: settled points are far from all that was seen; ``frame``: only this one of a sequence was
            labeled; ``rule``: the chosen rule cannot name all; ``note``: a sentence from elsewhere.
        levels: what it is about, head to foot; of ``rule`` the one that would have no name.
        beside: of ``gap`` the named levels above and below it, of ``end`` the last named one, of ``counts`` what the
            vertebra is called by the other count.
        landmarks: of ``shift`` those of :data:`LANDMARKS` that are in view, of ``counts`` the one that contradicts.
        numbers: of ``counts`` ``ribs`` or ``lumbar``, how many there are; of ``turned`` ``degrees`` about the long axis
            and ``head_down`` 0 or 1; of ``small`` ``percent`` of an adult's spine; of ``clipped`` ``hu``, the lowest
            value kept; of ``frame`` ``number``, from 1, and ``count``.
        text: of ``note``; of ``frame`` its time or other index; of ``counts`` and ``rule`` one of
            :data:`.count_rules.RULES`, by which the other name is, or which cannot name all.
    """

    kind: str
    levels: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)
    text: str = ""

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """What the user reads.

        Args:
            translate: English template -> the same in the user's language; ``slicer.i18n.tr`` in Slicer.
        """
        return _WORDS[self.kind](self, translate)

    def to_json(self) -> dict[str, object]:
        """Plain JSON types; see :meth:`from_json`."""
        lists = {name: list(getattr(self, name)) for name in ("levels", "beside", "landmarks") if getattr(self, name)}
        numbers = {"numbers": dict(self.numbers)} if self.numbers else {}
        return {"kind": self.kind, **lists, **numbers, **({"text": self.text} if self.text else {})}

    @classmethod
    def from_json(cls, data: object) -> LabelWarning | None:
        """Read what :meth:`to_json` made; ``None`` for anything else, as a damaged scene may hold it."""
        if not isinstance(data, dict):
            return None
        levels, beside, landmarks = (data.get(name, []) for name in ("levels", "beside", "landmarks"))
        numbers, text = data.get("numbers", {}), data.get("text", "")
        if not (_all_of(levels, LEVEL_INDEX) and _all_of(beside, LEVEL_INDEX) and _all_of(landmarks, LANDMARKS)):
            return None
        if not isinstance(numbers, dict) or not isinstance(text, str):
            return None
        if not all(type(number) in (int, float) and abs(number) <= _LARGEST for number in numbers.values()):
            return None
        try:
            warning = cls(data["kind"], tuple(levels), tuple(beside), tuple(landmarks), dict(numbers), _clean(text))
            warning.sentence()
        except (KeyError, IndexError, ValueError, TypeError):  # a kind that is unknown, or lacks what it tells of
            return None
        return warning


def note(text: str) -> LabelWarning:
    """A sentence from elsewhere."""
    return LabelWarning(NOTE, text=_clean(text))


def _clean(text: str) -> str:
    """What can be shown of a text from a scene: not too long, no half characters."""
    return text[:_LONGEST_NOTE].encode("utf-8", "replace").decode("utf-8")


def span(levels: Sequence[str]) -> str:
    """Levels, head to foot, as users read them: ``T5`` or ``T5-T7``."""
    return levels[0] if len(levels) == 1 else f"{levels[0]}-{levels[-1]}"


def _all_of(values: object, known: object) -> bool:
    if not isinstance(values, list) or len(values) > len(LEVEL_INDEX):
        return False
    return all(isinstance(value, str) and value in known for value in values)


def _shift(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    if warning.landmarks:
        seen = translate(_(" and ")).join(translate(LANDMARK_WORDS[name]) for name in warning.landmarks)
        return translate(
            _("Levels may be shifted by one: what is seen at {landmarks} does not settle the count.")
        ).format(landmarks=seen)
    return translate(
        _(
            "Levels may be shifted by one: no landmark is in view (C2, the first rib at T1, the last rib at T12, or "
            "the sacrum below L5)."
        )
    )


def _counts(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    (level,) = warning.levels
    (number,) = warning.numbers.items() or ((None, None),)
    if number == ("ribs", 11):
        text = _("Eleven vertebrae bear ribs: the next, named {level}, may be T12 without ribs or L1.")
        return translate(text).format(level=level)
    if not warning.beside:
        return translate(_("The vertebra named {level} may be T12 with short ribs or none, or L1.")).format(level=level)
    (other,) = warning.beside
    if warning.landmarks:
        (seen,) = (translate(LANDMARK_WORDS[name]) for name in warning.landmarks)
        text = _("What is seen at {landmark} contradicts the other names: by it {level} would be {other}.")
        return translate(text).format(landmark=seen, level=level, other=other)
    first = translate(_("{level} found") if number[0] is None else _OTHER_NUMBERS[number]).format(level=level)
    return f"{first}; {translate(OTHERWISE[warning.text]).format(other=other)}."


def _rule(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    if not warning.levels:
        return translate(_NO_START[warning.text])
    (level,) = warning.levels
    return translate(_NO_NAME[warning.text]).format(level=level)


def _gap(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    above, below = warning.beside
    if not warning.levels:
        text = _("{above} and {below} lie twice as far apart as neighbors do: a vertebra may be missing between them.")
        return translate(text).format(above=above, below=below)
    text = translate(_("{levels} not found between {above} and {below}."))
    return text.format(levels=span(warning.levels), above=above, below=below)


def _end(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    (level,), (end,) = warning.levels, warning.beside
    below = _("{level} not found below {end}, where it should be in view.")
    above = _("{level} not found above {end}, where it should be in view.")
    return translate(below if LEVEL_INDEX[level] > LEVEL_INDEX[end] else above).format(level=level, end=end)


def _beyond(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    below = _("The image goes on below {level}, but no vertebra was seen there: look whether some are missing.")
    above = _("The image goes on above {level}, but no vertebra was seen there: look whether some are missing.")
    return translate(below if warning.numbers["step"] > 0 else above).format(level=span(warning.levels))


def _cut(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    return translate(_("The field of view ends inside {level}.")).format(level=span(warning.levels))


def _implants(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    text = _("Metal or cement lies at {levels}: vertebrae there may be missed or misplaced, check them.")
    return translate(text).format(levels=span(warning.levels))


def _astray(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    first, *others = warning.levels
    text = _("No vertebra was seen within 25 mm of what you moved or confirmed at {levels}: check these places.")
    return translate(text).format(levels=", ".join((first, *others)))


def _turned(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    degrees, head_down = warning.numbers["degrees"], bool(warning.numbers["head_down"])
    if head_down and degrees:
        how = _("upside down and turned by about {degrees:.0f} degrees")
    else:
        how = _("upside down") if head_down else _("turned by about {degrees:.0f} degrees")
    text = _("The patient seems to lie {how} in this scan, and was labeled so.")
    if head_down or degrees >= RECORDED_WRONGLY_DEG:
        text = _(
            "The patient seems to lie {how} in this scan, and was labeled so: check the scan's orientation, left and "
            "right too."
        )
    return translate(text).format(how=translate(how).format(degrees=degrees))


def _small(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    text = _(
        "The spine is small, about {percent:.0f} % of a usual adult's, and was labeled enlarged: check the levels, "
        "the networks have learned from adults."
    )
    return translate(text).format(percent=warning.numbers["percent"])


def _clipped(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    text = _(
        "This CT was saved without its values below {hu:.0f} HU, as for display: they were taken for air. Label the "
        "original where there is one."
    )
    return translate(text).format(hu=warning.numbers["hu"])


def _frame(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    text = _("Only the shown frame of the sequence was labeled: {number:.0f} of {count:.0f} ({text}).")
    return translate(text).format(**warning.numbers, text=warning.text)


def _fixed(text: str) -> Callable[[LabelWarning, Callable[[str], str]], str]:
    return lambda warning, translate: translate(text)


_WORDS: dict[str, Callable[[LabelWarning, Callable[[str], str]], str]] = {
    SHIFT: _shift,
    VARIANT: lambda warning, translate: translate(_VARIANT_WORDS[warning.levels[0]]),
    COUNTS: _counts,
    RULE: _rule,
    GAP: _gap,
    END: _end,
    BEYOND: _beyond,
    CUT: _cut,
    FURTHER: _fixed(
        _("Further vertebral bodies are seen far from the named ones: look whether a part of the spine is missing.")
    ),
    IMPLANTS: _implants,
    ASTRAY: _astray,
    TURNED: _turned,
    SMALL: _small,
    CLIPPED: _clipped,
    NO_GPU: _fixed(_("The GPU has too little free memory: this scan was labeled on the CPU.")),
    FRAME: _frame,
    NOTE: lambda warning, translate: warning.text,
}
