"""The MNIST example of PyTorch: two convolutions, two dropouts, Adadelta from 1.0 falling by 0.7, batches of 64.

After https://github.com/pytorch/examples/tree/main/mnist, written anew. It reads the idx files itself, all at once and
normalised beforehand, where torchvision would decode and normalise each image at every turn: to its advantage. It
evaluates after each epoch, as published; of its 14 epochs it does as many as it takes to reach the target.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

MEAN, DEVIATION = 0.1307, 0.3081


class Net(nn.Module):
    """1,199,882 parameters, most of them in the first dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the logarithms of ten probabilities."""
        seen = functional.relu(self.conv2(functional.relu(self.conv1(images))))
        flat = torch.flatten(self.dropout1(functional.max_pool2d(seen, 2)), 1)
        return functional.log_softmax(self.fc2(self.dropout2(functional.relu(self.fc1(flat)))), dim=1)


def loader(images: np.ndarray, labels: np.ndarray, batch: int, shuffle: bool) -> DataLoader:
    """Give batches of normalised images [N, 1, 28, 28] and labels."""
    pixels = (torch.from_numpy(images[:, np.newaxis].astype(np.float32) / 255) - MEAN) / DEVIATION
    return DataLoader(TensorDataset(pixels, torch.from_numpy(labels.astype(np.int64))), batch, shuffle)


def train(network: Net, batches: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    """Take one epoch."""
    network.train()
    for images, labels in batches:
        optimizer.zero_grad()
        functional.nll_loss(network(images), labels).backward()
        optimizer.step()


def right(network: Net, batches: DataLoader) -> float:
    """Give the share of right answers."""
    network.eval()
    with torch.no_grad():
        hits = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches)
    return hits / len(batches.dataset)


def main() -> None:
    """Train until the target or the cap, evaluating after each epoch; save, report."""
    asked = common.arguments()
    torch.manual_seed(asked.seed)
    images, labels, test, truth = common.mnist(asked.mnist, asked.images)
    training, testing = loader(images, labels, 64, True), loader(test, truth, 1000, False)
    network = Net()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    accuracy, epochs = 0.0, 0
    while epochs < asked.cap and accuracy < asked.target:
        train(network, training, optimizer)
        accuracy, epochs = right(network, testing), epochs + 1
        schedule.step()
        print(f"epoch {epochs}: {accuracy:.4f}", flush=True)
    torch.save(network.state_dict(), asked.scratch / "mnist_cnn.pt")
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    common.report(accuracy, len(truth), (epochs, "epochs"), versions)


if __name__ == "__main__":
    main()
