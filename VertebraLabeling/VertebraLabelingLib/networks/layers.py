"""What all networks are built of: the HU window of their input, their blocks, and the layout of their memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HU_LOW, HU_HIGH, HU_SCALE = -500.0, 1250.0, 500.0


def window(hu: Tensor) -> Tensor:
    """Clip HU to [-500, 1250] and scale to [-1, 2.5]: air and lung become one value, dense bone keeps its contrast."""
    return hu.clamp(HU_LOW, HU_HIGH) / HU_SCALE


def channels_last(x: Tensor) -> Tensor:
    """``x`` (B, C, D, H, W) with the channels last in memory, where oneDNN convolves fastest: on the CPU."""
    return x.contiguous(memory_format=torch.channels_last_3d) if x.device.type == "cpu" else x


class ConvNorm(nn.Sequential):
    """3x3x3 (or 1x1x1) convolution and batch normalization, folded into one convolution by :func:`fold_norms`."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int | tuple[int, int, int] = 1) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, size, stride, padding=size // 2, bias=False),
            nn.BatchNorm3d(outputs),
        )


class Residual(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut (He et al. 2016); the shortcut is 1x1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int, int] = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs)
        plain = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if plain else ConvNorm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu_(self.second(functional.relu_(self.first(x))) + self.shortcut(x))


class Up(nn.Module):
    """Decoder step: 1x1x1 convolution, trilinear doubling, concatenation with the skip, residual block.

    Where the skip is of an odd size, the doubled features are one longer: their last row is left out.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(inputs, outputs, 1)
        self.fuse = Residual(outputs + skip, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = functional.interpolate(functional.relu_(self.reduce(x)), scale_factor=2, mode="trilinear")
        d, h, w = skip.shape[2:]
        return self.fuse(torch.cat([x[:, :, :d, :h, :w], skip], dim=1))


def fold_norms(network: nn.Module) -> nn.Module:
    """Merge every batch normalization into its convolution, in place; for inference only."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for name, child in network.named_children():
        if isinstance(child, ConvNorm):
            setattr(network, name, fuse_conv_bn_eval(child[0].eval(), child[1].eval()))
        else:
            fold_norms(child)
    return network.eval()
