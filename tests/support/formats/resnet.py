"""ResNet-18, with the names that torchvision gives its weights. A model folder gets this file as its code."""

import torch


class Block(torch.nn.Module):  # type: ignore[misc]
    """Two convolutions, and the way around them."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outer)
        self.conv2 = torch.nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outer)
        around = [torch.nn.Conv2d(inner, outer, 1, stride, bias=False), torch.nn.BatchNorm2d(outer)]
        self.downsample = torch.nn.Sequential(*around) if stride > 1 or inner != outer else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps in, feature maps out."""
        found = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(found + (x if self.downsample is None else self.downsample(x)))


class ResNet18(torch.nn.Module):  # type: ignore[misc]
    """Images [rows, 3, 224, 224] in; logits of ten classes out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 64, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for place in (1, 2, 3, 4):
            inner, outer = widths[place - 1], widths[place]
            first = Block(inner, outer, 1 if place == 1 else 2)
            self.add_module(f"layer{place}", torch.nn.Sequential(first, Block(outer, outer, 1)))
        self.fc = torch.nn.Linear(512, 10)

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        """Images in, logits out."""
        x = torch.nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(photo))), 3, 2, 1)
        for place in (1, 2, 3, 4):
            x = getattr(self, f"layer{place}")(x)
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits
