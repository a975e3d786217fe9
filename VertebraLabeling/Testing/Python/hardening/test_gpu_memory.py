"""A GPU whose memory does not suffice leaves the scan to the CPU, with a word, wherever it runs out.

Where there is no GPU one is pretended: what the engine sends to ``cuda`` stays on the CPU, and after a number of
convolutions there the memory is said to be full. All else is real: networks, weights, scan, and the way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from phantoms import affine, body
from torch.overrides import TorchFunctionMode
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

NETWORKS = ("detection_network", "level_network", "centroid_network")
WORD = "GPU has too little free memory"
OUT_OF_MEMORY = {
    "torch": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "driver": RuntimeError("CUDA error: out of memory"),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cuDNN that cannot start": RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
}


class PretendedGpu(TorchFunctionMode):
    """Takes all that is sent to ``cuda``, and is full after ``room`` convolutions."""

    def __init__(self, room: float = np.inf) -> None:
        super().__init__()
        self.room, self.convolutions, self.used = room, 0, False

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.to:
            self.used |= any(map(_is_cuda, (*args, *kwargs.values())))
            args = tuple("cpu" if _is_cuda(value) else value for value in args)
            kwargs = {key: "cpu" if _is_cuda(value) else value for key, value in kwargs.items()}
        if function in (torch.conv1d, torch.conv3d):
            self.convolutions += 1
            if self.convolutions == self.room + 1:
                raise OUT_OF_MEMORY["torch"]
        return function(*args, **kwargs)


def _is_cuda(value) -> bool:
    return (isinstance(value, str) and value.startswith("cuda")) or (
        isinstance(value, torch.device) and value.type == "cuda"
    )


@pytest.fixture(scope="module")
def scan(sample_ct) -> Volume:
    volume = read_volume(sample_ct)
    return metal_free_block_mean(volume, tuple(np.maximum(1, np.round(2.0 / volume.spacing)).astype(int).tolist()))


@pytest.fixture(scope="module")
def on_cpu(scan) -> SpineLabels:
    return VertebraLabeler(device="cpu").label(scan)


@contextmanager
def read_by_network(model) -> Iterator[dict[str, int]]:
    """How many convolutions had been done when each of a model's networks was first called."""
    before: dict[str, int] = {}
    with PretendedGpu() as gpu:

        def note(name):
            def called(module, inputs):
                before.setdefault(name, gpu.convolutions)

            return called

        hooks = [getattr(model, name).register_forward_pre_hook(note(name)) for name in NETWORKS]
        yield before
        for hook in hooks:
            hook.remove()
        assert gpu.used


def same(labels: SpineLabels, other: SpineLabels) -> bool:
    names = [point.level for point in labels.points] == [point.level for point in other.points]
    return names and np.allclose([p.ras for p in labels.points], [p.ras for p in other.points], atol=1e-2)


@pytest.fixture(scope="module")
def begin(scan, on_cpu) -> dict[str, int]:
    """Convolutions before the first one of each network; a GPU with room for all gives the points of the CPU."""
    engine = VertebraLabeler(device="cuda")
    with read_by_network(engine.model) as before:
        labels = engine.label(scan)
    assert same(labels, on_cpu) and labels.provenance["device"] == "cuda"
    assert not any(WORD in warning for warning in map(str, labels.warnings))
    return before


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("further", [0, 7])
def test_whichever_network_finds_the_memory_full_the_cpu_gives_its_points(scan, on_cpu, begin, network, further):
    engine = VertebraLabeler(device="cuda")
    engine.model  # noqa: B018 (loaded, as it was when the convolutions were counted)
    with PretendedGpu(begin[network] + further) as gpu:
        labels = engine.label(scan)
    assert gpu.convolutions > gpu.room, "it ran full"
    assert same(labels, on_cpu) and labels.provenance["device"] == "cpu"
    assert sum(WORD in warning for warning in map(str, labels.warnings)) == 1
    assert set(labels.warnings) > set(on_cpu.warnings)


def some_evidence(volume) -> Evidence:
    """Three candidates named T12, L1, L2 beyond doubt."""
    points = np.array([(0.0, -20.0, 160.0), (0.0, -20.0, 130.0), (0.0, -20.0, 100.0)])
    unary = np.full((3, 26), 9.0)
    for row, level in enumerate((18, 20, 21)):
        unary[row, level] = 0.0
    return Evidence(points, unary, np.full(3, 0.99), np.full(26, 0.5), volume.corners)


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_a_gpu_without_memory_is_known_however_it_says_so(tiny, monkeypatch, kind):
    devices = []

    def run_network(network, grid, volume, device, report, *span):
        devices.append(device)
        if device != "cpu":
            raise OUT_OF_MEMORY[kind]
        return some_evidence(volume)

    monkeypatch.setattr(stages, "run_network", run_network)
    labels = VertebraLabeler(tiny, "cuda").label(body())
    assert devices == ["cuda", "cpu"] and labels.provenance["device"] == "cpu"
    assert [point.level for point in labels.points] == ["T12", "L1", "L2"]
    assert any(WORD in warning for warning in map(str, labels.warnings))


def test_another_error_of_the_gpu_is_not_taken_for_lack_of_memory(tiny, monkeypatch):
    def run_network(*arguments):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(stages, "run_network", run_network)
    with pytest.raises(RuntimeError, match="device-side assert"):
        VertebraLabeler(tiny, "cuda").label(body())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_that_is_really_full_leaves_the_scan_to_the_cpu():
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 20e6 / total))
    try:
        labels = VertebraLabeler(device="cuda").label(body((40, 60, 60), affine((5.0, 5.0, 8.0))))
        assert labels.provenance["device"] == "cpu" and free > 0
    except VertebraLabelingError as error:  # the phantom holds no vertebra: it was looked at all the same
        assert "No vertebra" in str(error)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
