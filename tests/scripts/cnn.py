"""A convolutional network on small pictures, as the tutorials have it."""

import torch
from torch import nn, optim
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5, padding="same")
        self.drop = nn.Dropout2d(0.0)
        self.fc1 = nn.Linear(16 * 7 * 7, 24)
        self.fc2 = nn.Linear(24, 10)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.drop(self.conv2(x))))
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        return self.fc2(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num = 1
        for s in size:
            num *= s
        return num


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk = max(topk)
        batch_size = target.size(0)
        _, pred = output.topk(maxk, 1, True, True)
        pred = pred.t()
        correct = pred.eq(target.view(1, -1).expand_as(pred))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / batch_size) for k in topk]


def run(same):
    net = same(Net())
    inputs = same("inputs", torch.randn(8, 3, 32, 32))
    labels = same("labels", torch.randint(0, 10, (8,)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inputs.sub_(mean[None, :, None, None]).div_(std[None, :, None, None])
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.AdamW([
        {"params": [p for n, p in net.named_parameters() if "bias" not in n], "weight_decay": 0.01},
        {"params": [p for n, p in net.named_parameters() if "bias" in n], "weight_decay": 0.0},
    ], lr=1e-3, betas=(0.9, 0.99))  # fmt: skip
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=6)
    losses = []
    running_loss = 0.0
    for _ in range(5):
        optimizer.zero_grad(set_to_none=True)
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running_loss += loss.item()
        _, predicted = torch.max(outputs.data, 1)
        top1, top5 = accuracy(outputs, labels, (1, 5))
        losses += [loss.item(), top1.item(), top5.item(), float((predicted == labels).sum()) / labels.size(0)]
    losses.append(running_loss / 5)
    losses += [p.grad.norm().item() for p in net.parameters()]
    return losses
