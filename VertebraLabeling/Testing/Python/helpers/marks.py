"""Markers of pytest for tests that run inside Slicer too, whose Python has no pytest."""

try:
    from pytest import mark
except ImportError:

    def timing(test):
        """There is nobody to read the marker."""
        return test
else:
    timing = mark.timing

__all__ = ["timing"]
