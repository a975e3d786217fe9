"""The sample CT: listed in Slicer's Sample Data module, downloaded when asked, checked by SHA-256, removable."""

import time
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.scans import sample_ct

from .labeling_process import MODULE_FOLDER, pythonSlicer

NAME = "VertebraLabelingChestCT"
NODE_NAME = "LIDC-IDRI-0001"
THUMBNAIL = MODULE_FOLDER / "Resources" / "Icons" / f"{NAME}.png"


def register():
    """Add the sample to the Sample Data module; called when Slicer has started."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Vertebra Labeling",
        sampleName=NAME,
        uris=sample_ct.URL,
        fileNames=sample_ct.FILE_NAME,
        nodeNames=NODE_NAME,
        thumbnailFileName=str(THUMBNAIL),
        loadFileType="VolumeFile",
        checksums=f"SHA256:{sample_ct.SHA256}",
        customDownloader=download,  # which knows a second source too
    )


def download(source=None):
    """The custom downloader of the Sample Data module: fetch, check, load. Returns the loaded nodes."""
    return [load()]


def load():
    """Fetch the sample CT where it is not yet in Slicer's cache, and load it.

    Raises:
        VertebraLabelingError: it cannot be downloaded, or is not the expected file.
    """
    fetch()
    return slicer.util.loadVolume(str(cachedFile()), properties={"name": NODE_NAME})


def cachedFile():
    """Where the sample CT is kept: Slicer's cache folder, as for all sample data."""
    return Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / sample_ct.FILE_NAME


def remove():
    """Delete the sample CT from the cache.

    Raises:
        VertebraLabelingError: the file cannot be deleted.
    """
    try:
        cachedFile().unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise VertebraLabelingError(f"{cachedFile()} cannot be deleted ({error.strerror}): close it first.") from error


def fetch():
    """Download the sample CT in a process of its own while Slicer stays alive; a good file in the cache is kept."""
    arguments = [pythonSlicer(), "-m", sample_ct.__name__, str(cachedFile().parent)]
    process = slicer.util.launchConsoleProcess(arguments, useStartupEnvironment=False, cwd=str(MODULE_FOLDER))
    while process.poll() is None:
        slicer.app.processEvents()
        time.sleep(0.02)
    lines = process.stdout.read().strip().splitlines()
    if process.returncode:
        raise VertebraLabelingError(lines[-1] if lines else _("The sample CT could not be downloaded."))
