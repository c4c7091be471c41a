"""Pairs by a shared network: contrastive and triplet losses, distances."""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.nn.parameter import Parameter


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn1 = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 4, kernel_size=3),
            nn.PReLU(),
            nn.LocalResponseNorm(3),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 4, kernel_size=3, groups=2),
            nn.ELU(),
        )
        self.fc1 = nn.ModuleList([nn.Linear(4 * 3 * 3, 12), nn.LayerNorm(12), nn.Tanh(), nn.Linear(12, 5)])
        self.scale = Parameter(torch.ones(1))

    def forward_once(self, x):
        output = self.cnn1(x)
        output = output.view(output.size()[0], -1)
        for layer in self.fc1:
            output = layer(output)
        return output * self.scale

    def forward(self, *inputs):
        return [self.forward_once(x) for x in inputs]


class ContrastiveLoss(torch.nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        euclidean_distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(euclidean_distance, 2)
            + (label) * torch.pow(torch.clamp(self.margin - euclidean_distance, min=0.0), 2)
        )


def run(same):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    net = same(SiameseNetwork())
    x = same("x", torch.randn(12, 1, 10, 10)).float()
    a, b, c = x[:4], x[4:8], x[8:]
    label = torch.from_numpy(np.array([[0], [1], [0], [1]], dtype=np.float32))
    optimizer = optim.Adagrad(net.parameters(), lr=0.02)
    contrastive, triplet, cosine = ContrastiveLoss(), nn.TripletMarginLoss(margin=1.0, p=2), nn.CosineEmbeddingLoss()
    losses = []
    for _ in range(4):
        one, two, three = net(a, b, c)
        parts = contrastive(one, two, label), triplet(one, two, three), cosine(one, two, 1 - 2 * label.squeeze())
        loss = sum(parts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [p.item() for p in parts]
    with torch.no_grad():
        net.eval()
        codes = F.normalize(torch.cat(net(a, b, c)), p=2, dim=1)
        similar = torch.mm(codes, codes.t()).fill_diagonal_(-1)
        values, nearest = similar.max(dim=1)
        losses += [values.mean().item(), *nearest.tolist(), torch.cdist(codes, codes).sum().item()]
    return losses
