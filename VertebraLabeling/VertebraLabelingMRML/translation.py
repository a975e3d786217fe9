"""Slicer's translations; outside the Slicer application, where there are none, texts stay as they are."""

try:
    from slicer.i18n import tr
except ImportError:  # slicer-core

    def tr(text):
        return text


__all__ = ["tr"]
