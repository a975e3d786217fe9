"""A standard nnU-Net 3 mm plan of 118 classes, as TotalSegmentator ``--fast`` uses, with random weights.

Network of dynamic-network-architectures; patch, sliding window (steps of half a patch, as TotalSegmentator sets it for
3 mm; no mirroring), Gaussian weights and the argmax as nnU-Net does them. Weights do not change the time, so this says
the method costs and nothing of its accuracy. Resampling to 3 mm and back is left out, in the peer's favor. The
plan is the standard one for this spacing; that of the published weights was not at hand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product
from math import ceil
from pathlib import Path

import numpy as np
from VertebraLabelingLib.preprocessing.resampling import to_working_grid

from .memory import PeakMemory
from .scans import read_scan

NAME = "nnU-Net, 3 mm plan of 118 classes"
SPACING_MM = 3.0
PATCH = (128, 112, 112)  # along K, J, I: the longest side along the body needs the fewest patches
CLASSES = 118
FEATURES = (32, 64, 128, 256, 320, 320)
STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 1, 1))


def patch_starts(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """First voxels of the sliding window's patches over a padded image, as nnU-Net lays them: evenly, half overlapping.

    Args:
        shape: image size (K, J, I), at least :data:`PATCH` along every axis.
    """
    axes = []
    for size, side in zip(shape, PATCH):
        count = ceil((size - side) / (side / 2)) + 1
        step = (size - side) / max(1, count - 1)
        axes.append([round(step * n) for n in range(count)])
    return list(product(*axes))


def padded_shape(extent_mm: Sequence[float]) -> tuple[int, ...]:
    """Size (K, J, I) of the 3 mm image of a scan of this extent (K, J, I, mm), padded to at least a patch."""
    return tuple(max(side, ceil(mm / SPACING_MM)) for mm, side in zip(extent_mm, PATCH))


def measure_nnunet(scan: str, larger_mm: Sequence[float] | None = None) -> dict:
    """Seconds and memory above the input of one pass over a scan; by scaling also of a larger one.

    Args:
        scan: the scan that is done whole.
        larger_mm: extent (K, J, I) of a scan whose time is the median time of a patch times its number of patches.

    Raises:
        ImportError: dynamic-network-architectures is not installed.
    """
    import torch
    from torch.nn import functional

    network = _network()
    image = torch.from_numpy(to_working_grid(read_scan(Path(scan)), SPACING_MM).array)
    missing = [max(0, side - size) for side, size in zip(PATCH, image.shape)]
    image = functional.pad(image, (0, missing[2], 0, missing[1], 0, missing[0])) / 500
    memory = PeakMemory()
    started = time.perf_counter()
    patches = _slide(network, image)
    result = {
        "name": f"{NAME} (dynamic-network-architectures {version('dynamic-network-architectures')}, random weights)",
        "seconds": time.perf_counter() - started,
        "memory_gb": memory.gigabytes,
        "patches": len(patches),
        "how": f"every patch ({len(patches)})",
    }
    if larger_mm is not None:
        number = len(patch_starts(padded_shape(larger_mm)))
        result["larger"] = {
            "seconds": number * float(np.median(patches)),
            "patches": number,
            "how": f"{number} patches, each at the median time of the crop's",
        }
    return result


def _network():
    """The plain convolutional U-Net of the plan, for inference."""
    import torch
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    torch.manual_seed(0)
    return PlainConvUNet(
        input_channels=1,
        n_stages=len(FEATURES),
        features_per_stage=FEATURES,
        conv_op=torch.nn.Conv3d,
        kernel_sizes=[(3, 3, 3)] * len(FEATURES),
        strides=STRIDES,
        n_conv_per_stage=2,
        num_classes=CLASSES,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()


def _slide(network, image) -> list[float]:
    """The sliding window and the argmax; returns the seconds of each patch."""
    import torch

    axes = [torch.exp(-(((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) / 2) for n in PATCH]
    weights = (axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None]).half().clamp(min=1e-4)
    logits = torch.zeros((CLASSES, *image.shape), dtype=torch.half)
    total = torch.zeros(image.shape, dtype=torch.half)
    seconds = []
    with torch.inference_mode():
        for start in patch_starts(image.shape):
            began = time.perf_counter()
            part = tuple(slice(first, first + side) for first, side in zip(start, PATCH))
            logits[(slice(None), *part)] += network(image[part][None, None])[0].half() * weights
            total[part] += weights
            seconds.append(time.perf_counter() - began)
        logits.div_(total).argmax(dim=0)
    return seconds
