"""The rules by which vertebrae can be named where a spine has more or fewer of them than usual."""

from __future__ import annotations

from .marked import marked as _

AS_SEEN, FROM_ABOVE, FROM_SACRUM = "seen", "above", "sacrum"
RULES = (AS_SEEN, FROM_ABOVE, FROM_SACRUM)
"""Name what is seen (a thirteenth rib-bearing vertebra is T13, a sixth lumbar one L6); count seven, twelve and five
from above; count five, twelve and seven from the sacrum up."""


OTHERWISE = {
    AS_SEEN: _("named as what is seen it is {other}"),
    FROM_ABOVE: _("counted from above it is {other}"),
    FROM_SACRUM: _("counted from the sacrum it is {other}"),
}
"""Rule -> what a vertebra is called by it."""
