"""Read numbers in text headers with a decimal point, whatever the locale of the program around.

Teem, which reads NRRD, uses C functions that take ``1.5`` for ``1`` where the numbers of the locale have a comma. Qt
programs set the locale of the user at their start; Slicer sets that of numbers back, others do not.
"""

from __future__ import annotations

import locale
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.RLock()


@contextmanager
def decimal_point() -> Iterator[None]:
    """Give numbers the locale ``C`` inside the block, and the one before after it.

    The locale belongs to the whole process, so blocks of several threads run one after the other, and nothing is set
    where it is ``C`` already. Other threads see it too while a file is read: their C libraries write a point.
    """
    with _one_at_a_time:
        before = locale.setlocale(locale.LC_NUMERIC)
        if before in ("C", "POSIX"):
            yield
            return
        locale.setlocale(locale.LC_NUMERIC, "C")
        try:
            yield
        finally:
            locale.setlocale(locale.LC_NUMERIC, before)
