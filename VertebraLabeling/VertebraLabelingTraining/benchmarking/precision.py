"""The network in bfloat16, to measure what it would gain; the product computes in fp32."""

from __future__ import annotations

import platform
from pathlib import Path

import torch
from VertebraLabelingLib.networks.detection_network import DetectionNetwork


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm BF16); False where it does not tell."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16"}) or (platform.machine() == "aarch64" and "bf16" in words)


def to_bfloat16(network: DetectionNetwork) -> DetectionNetwork:
    """Turn the convolutions to bfloat16, in place; the Bi-LSTM, the softmax and the heat maps stay fp32."""
    network.to(torch.bfloat16)
    network.sequence.float()
    network.log_temperature.data = network.log_temperature.data.float()
    network.register_forward_pre_hook(lambda _, inputs: tuple(value.bfloat16() for value in inputs))
    return network
