"""The localisation path of spine-segment (PyPI), a PyTorch port of Payer et al. 2020, with random weights.

Its trained weights are not on a package registry, so this says what the method costs and nothing of its accuracy. The
package's own public entry runs, unchanged: Gaussian smoothing, the 8 mm locator, the 2 mm network slab by slab, the
search for maxima in its 26 heat maps. The locator's last layer answers "everywhere", so that the second network sees
the whole scan that it is given, and the heat maps are zero, so that the sequence solver has nothing to do: its time is
missing, in the peer's favor.
"""

from __future__ import annotations

import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

from .memory import PeakMemory
from .scans import read_scan

NAME = "spine-segment, localization only"
_CHANNELS = 96


def measure_spine_segment(scan: str) -> dict:
    """Seconds and memory above the input of one localisation, once.

    Raises:
        ImportError: spine-segment is not installed.
    """
    import SimpleITK as sitk
    from spine_segment.backend import SpineSegmentBackendError
    from spine_segment.native_torch_backend import NativeTorchBackend

    image = sitk.Cast(to_sitk(read_scan(Path(scan))), sitk.sitkFloat32)
    with tempfile.TemporaryDirectory() as folder:
        _write_random_weights(Path(folder) / "weights")
        backend = NativeTorchBackend(bundle_root=Path(folder), strict_bundle=False, progress=False)
        memory = PeakMemory()
        started = time.perf_counter()
        try:
            backend.localize(image=image, source_path=Path("scan.nii.gz"), device="cpu")
        except SpineSegmentBackendError as error:
            if "no valid landmarks" not in str(error):  # what is expected of random weights
                raise
        seconds = time.perf_counter() - started
    return {
        "name": f"{NAME} ({version('spine-segment')}, random weights)",
        "seconds": seconds,
        "memory_gb": memory.gigabytes,
        "how": "the whole crop, once",
    }


def _write_random_weights(folder: Path) -> None:
    """The two networks of the localisation, of the package's own sizes, as the package loads them."""
    import torch
    from spine_segment.pytorch_models import MdatArchitectureSpec, build_model

    torch.manual_seed(0)
    locator = build_model(MdatArchitectureSpec("spine_localization", 1, 1, _CHANNELS, 5, "lrelu"))
    vertebrae = build_model(
        MdatArchitectureSpec(
            "vertebrae_localization",
            in_channels=1,
            num_labels=26,
            num_filters_base=_CHANNELS,
            num_levels=4,
            activation="lrelu",
            local_activation="tanh",
            spatial_activation="tanh",
            spatial_downsample=4,
            model_kind="scn",
        )
    )
    for layer, bias in ((locator.prediction, 1.0), (vertebrae.spatial_heatmaps, 0.0)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, bias)
    folder.mkdir()
    torch.save(locator.state_dict(), folder / "spine-locator.pt")
    torch.save(vertebrae.state_dict(), folder / "vertebra-locator.pt")
