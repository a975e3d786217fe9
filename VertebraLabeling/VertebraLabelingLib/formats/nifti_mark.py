"""The word in a NIfTI header by which a volume made here is known again, and not labeled as if it were a scan."""

STRAIGHTENED = "Straightened along the spine by VertebraLabeling"
"""Value of ``descrip``, of at most 79 characters."""
