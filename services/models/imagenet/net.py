"""EfficientNet-Lite0, with the names that its published weights have."""

import torch

# Of each stage: blocks, kernel, stride, expansion, channels in and out.
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class Same(torch.nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does it: one pixel more on the right and below."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inner, outer, kernel, stride, groups=groups, bias=False)
        before = (kernel - stride) // 2
        after = kernel - stride - before
        self.around = (before, after, before, after)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.nn.functional.pad(image, self.around))


def norm(channels: int) -> torch.nn.BatchNorm2d:
    return torch.nn.BatchNorm2d(channels, eps=1e-3)


class Block(torch.nn.Module):
    def __init__(self, kernel: int, stride: int, expansion: int, inner: int, outer: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.expands, self.skips = expansion > 1, stride == 1 and inner == outer
        if self.expands:
            self._expand_conv, self._bn0 = Same(inner, wide, 1), norm(wide)
        self._depthwise_conv, self._bn1 = Same(wide, wide, kernel, stride, groups=wide), norm(wide)
        self._project_conv, self._bn2 = Same(wide, outer, 1), norm(outer)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image
        if self.expands:
            x = torch.nn.functional.relu6(self._bn0(self._expand_conv(x)))
        x = torch.nn.functional.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + image if self.skips else x


class EfficientNetLite0(torch.nn.Module):
    """Images [rows, 3, 224, 224] in; logits of 1000 classes out."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, 32, 3, 2), norm(32)
        self._blocks = torch.nn.ModuleList(
            Block(kernel, 1 if place else stride, expansion, outer if place else inner, outer)
            for count, kernel, stride, expansion, inner, outer in STAGES
            for place in range(count)
        )
        self._conv_head, self._bn1 = Same(320, 1280, 1), norm(1280)
        self._fc = torch.nn.Linear(1280, 1000)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.relu6(self._bn0(self._conv_stem(image)))
        for block in self._blocks:
            x = block(x)
        x = torch.nn.functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))
