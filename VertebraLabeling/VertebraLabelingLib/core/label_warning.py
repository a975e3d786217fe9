"""What a user must know about a labeled scan, as data; :meth:`LabelWarning.sentence` puts it into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .anatomy import LEVEL_INDEX

SHIFT, VARIANT, GAP, END, CUT, FURTHER = "shift", "variant", "gap", "end", "cut", "further"
IMPLANTS, TURNED, SMALL, CLIPPED, NO_GPU, NOTE = "implants", "turned", "small", "clipped", "no_gpu", "note"
ASTRAY, FRAME = "astray", "frame"

SOLVER_KINDS = frozenset((SHIFT, VARIANT, GAP, END, CUT, FURTHER))
"""What the solver says of its chain: a new solution replaces these."""

REVIEW_KINDS = frozenset((SHIFT, GAP, END, FURTHER, IMPLANTS, ASTRAY))
"""Levels may be shifted, or vertebrae were or may have been missed: someone should look before the points are used."""

OF_PLACES = frozenset((IMPLANTS, ASTRAY))
"""What is seen at certain vertebrae: it stays with them, whatever they are named."""

DENS, FIRST_RIB, LAST_RIB, SACRUM = "dens", "first_rib", "last_rib", "sacrum"
LANDMARKS = (DENS, FIRST_RIB, LAST_RIB, SACRUM)
"""Structures that a spine can be counted from, head to foot."""

RECORDED_WRONGLY_DEG = 60  # a patient turned further than this: the header is the likelier reason
_LARGEST = 1e6  # of a number in a sentence
_LONGEST_NOTE = 1000  # characters kept of a sentence that a scene file holds


def _(text: str) -> str:
    """Mark a sentence for translation; the caller of :meth:`LabelWarning.sentence` translates."""
    return text


LANDMARK_WORDS = {
    DENS: _("C2"),
    FIRST_RIB: _("the first rib"),
    LAST_RIB: _("the last rib"),
    SACRUM: _("the sacrum"),
}
_VARIANT_WORDS = {"T13": _("T13 found."), "L6": _("L6 or lumbarized S1 found.")}


@dataclass(frozen=True)
class LabelWarning:
    """One thing to know.

    Attributes:
        kind: ``shift``: the levels may be shifted by one; ``variant``: T13 or L6 is named; ``gap``: levels between two
            named ones were not found; ``end``: a level beyond an end of the chain was not found; ``cut``: the image
            edge cuts a vertebra; ``further``: vertebral bodies are seen far from the chain; ``implants``: metal;
            ``turned``: how the patient lies; ``small``: size of the spine; ``clipped``: values that the scan lacks;
            ``no_gpu``: labeled on the CPU; ``astray``: settled points are far from all that was seen; ``frame``: only
            this one of a sequence was labeled; ``note``: a sentence from elsewhere.
        levels: what it is about, head to foot.
        beside: of ``gap`` the named levels above and below it, of ``end`` the last named one.
        landmarks: of ``shift`` those of :data:`LANDMARKS` that are in view.
        numbers: of ``turned`` ``degrees`` about the long axis and ``head_down`` 0 or 1; of ``small`` ``percent`` of an
            adult's spine; of ``clipped`` ``hu``, the lowest value kept; of ``frame`` ``number``, from 1, and
            ``count``.
        text: of ``note``; of ``frame`` its time or other index.
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


def _gap(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    above, below = warning.beside
    text = translate(_("{levels} not found between {above} and {below}."))
    return text.format(levels=span(warning.levels), above=above, below=below)


def _end(warning: LabelWarning, translate: Callable[[str], str]) -> str:
    (level,), (end,) = warning.levels, warning.beside
    below = _("{level} not found below {end}, where it should be in view.")
    above = _("{level} not found above {end}, where it should be in view.")
    return translate(below if LEVEL_INDEX[level] > LEVEL_INDEX[end] else above).format(level=level, end=end)


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
    GAP: _gap,
    END: _end,
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
