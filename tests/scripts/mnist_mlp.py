"""A multilayer perceptron on digits: training and evaluation by epochs, accuracy, checkpoints."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import Tensor


class Net(nn.Module):
    def __init__(self, hidden: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, hidden),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(hidden),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(x)
        return F.log_softmax(self.head(self.linear_relu_stack(x)), dim=1)


def run(same):
    torch.manual_seed(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)).to(device)
    images.copy_(same("images", images))
    labels = (images.sum(dim=(1, 2, 3)) * 10).long() % 10
    model = same(Net().to(device))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    losses = []
    for epoch in range(2):
        model.train()
        for data, target in zip(images.split(16), torch.split(labels, 16)):
            data, target = data.to(device, non_blocking=True), target.to(device)
            optimizer.zero_grad()
            output = model(data)
            loss = F.nll_loss(output, target)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for data, target in zip(images.chunk(4), labels.chunk(4)):
                output = model(data)
                losses.append(F.nll_loss(output, target, reduction="sum").item())
                pred = output.argmax(dim=1, keepdim=True)
                correct += pred.eq(target.view_as(pred)).sum().item()
        losses.append(correct / len(images))
        print(f"epoch {epoch}: {correct}/{len(images)}, rate {scheduler.get_last_lr()[0]:.4f}, {loss:.4f}")
    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
    again = Net()
    again.load_state_dict(checkpoint["model"])
    again.eval()
    assert torch.allclose(again(images), model(images), atol=1e-6)
    print(sum(p.numel() for p in model.parameters() if p.requires_grad), model)
    return losses
