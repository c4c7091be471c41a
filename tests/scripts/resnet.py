"""A residual network of basic blocks, frozen in part, with an average of its weights."""

import copy
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion: int = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block: type[BasicBlock], layers: list[int], num_classes: int = 5) -> None:
        super().__init__()
        self.inplanes = 4
        self.conv1 = nn.Conv2d(3, 4, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 4, layers[0])
        self.layer2 = self._make_layer(block, 8, layers[1], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * block.expansion, num_classes)
        for m in self.modules():
            if isinstance(m, BasicBlock) and m.bn2.weight is not None:
                nn.init.constant_(m.bn2.weight, 0.5)

    def _make_layer(self, block, planes: int, blocks: int, stride: int = 1) -> nn.Sequential:
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(OrderedDict([
                ("conv", nn.Conv2d(self.inplanes, planes, 1, stride, bias=False)), ("norm", nn.BatchNorm2d(planes)),
            ]))  # fmt: skip
        layers = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes * block.expansion
        layers.extend(block(self.inplanes, planes) for _ in range(1, blocks))
        return nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


def run(same):
    model = same(ResNet(BasicBlock, [1, 2]))
    activations = {}
    handle = model.layer1.register_forward_hook(lambda m, args, out: activations.update(layer1=out.detach()))
    for param in model.conv1.parameters():
        param.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    ema = copy.deepcopy(model)
    images = same("images", torch.randn(6, 3, 16, 16))
    target = torch.arange(6) % 5
    lam = 0.3
    losses = []
    for _ in range(4):
        model.train()
        index = torch.flip(torch.arange(6), dims=[0])
        mixed = lam * images + (1 - lam) * images[index, :]
        outputs = model(mixed)
        loss = lam * F.cross_entropy(outputs, target) + (1 - lam) * F.cross_entropy(outputs, target[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for kept, new in zip(ema.state_dict().values(), model.state_dict().values()):
                if torch.is_floating_point(kept):
                    kept.mul_(0.9).add_(new, alpha=0.1)
        losses += [loss.item(), activations["layer1"].abs().mean().item(), optimizer.param_groups[0]["lr"]]
    handle.remove()
    model.eval(), ema.eval()
    losses += [model(images).sum().item(), ema(images).sum().item()]
    model.fc = nn.Linear(model.fc.in_features, 2)
    return losses + [float(model(images).shape[1]), model.bn1.running_var.mean().item()]
