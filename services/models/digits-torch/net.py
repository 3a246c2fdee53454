"""The network of digits-torch: two convolutions, and probabilities of ten digits."""

import torch


class Digits(torch.nn.Module):
    """Images [rows, 1, 8, 8] in; a label and ten probabilities out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 4 * 4, 10),
        )

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.layers(pixels)
        return {"label": logits.argmax(1), "probabilities": torch.softmax(logits, 1)}
