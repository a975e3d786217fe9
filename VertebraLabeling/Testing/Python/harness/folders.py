"""Temporary folders of the harness: each goes with its owner, and at the latest with the process that made it."""

import os
import shutil
import tempfile
import weakref


def folderOf(owner, prefix):
    """Make a folder that lasts as long as an object."""
    path = tempfile.mkdtemp(prefix=prefix)
    weakref.finalize(owner, _remove, path, os.getpid())
    return path


def _remove(path, process):
    if os.getpid() == process:  # not a fork of it
        shutil.rmtree(path, ignore_errors=True)
