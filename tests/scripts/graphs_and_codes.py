"""Attention over a graph's edges by scattering, a quantized code with straight-through gradients, a sampled grid."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class GAT(nn.Module):
    def __init__(self, inputs, outputs, heads):
        super().__init__()
        self.heads, self.outputs = heads, outputs
        self.lin = nn.Linear(inputs, heads * outputs, bias=False)
        self.att = nn.Parameter(torch.empty(1, heads, 2 * outputs))
        self.bias = nn.Parameter(torch.zeros(heads * outputs))
        nn.init.xavier_uniform_(self.att, gain=nn.init.calculate_gain("relu"))

    def forward(self, x, edge_index):
        n = x.size(0)
        src, dst = edge_index
        h = self.lin(x).view(n, self.heads, self.outputs)
        e = F.leaky_relu((torch.cat([h[src], h[dst]], dim=-1) * self.att).sum(-1), 0.2)
        top = torch.full((n, self.heads), -math.inf).scatter_reduce(
            0, dst[:, None].expand_as(e), e.detach(), reduce="amax", include_self=True
        )
        weight = (e - top[dst]).exp()
        total = torch.zeros(n, self.heads).index_add_(0, dst, weight)
        alpha = weight / (total[dst] + 1e-16)
        out = torch.zeros_like(h).index_add(0, dst, h[src] * alpha.unsqueeze(-1))
        return F.elu(out.flatten(1) + self.bias)


class VectorQuantizer(nn.Module):
    def __init__(self, count, dim, commitment):
        super().__init__()
        self._embedding = nn.Embedding(count, dim)
        self._embedding.weight.data.uniform_(-1 / count, 1 / count)
        self.count, self.commitment = count, commitment

    def forward(self, inputs):
        inputs = inputs.permute(0, 2, 3, 1).contiguous()
        flat = inputs.view(-1, self._embedding.embedding_dim)
        distances = (
            torch.sum(flat**2, dim=1, keepdim=True)
            + torch.sum(self._embedding.weight**2, dim=1)
            - 2 * torch.matmul(flat, self._embedding.weight.t())
        )
        indices = torch.argmin(distances, dim=1).unsqueeze(1)
        encodings = torch.zeros(indices.shape[0], self.count)
        encodings.scatter_(1, indices, 1)
        quantized = torch.matmul(encodings, self._embedding.weight).view(inputs.shape)
        loss = F.mse_loss(quantized, inputs.detach()) + self.commitment * F.mse_loss(quantized.detach(), inputs)
        quantized = inputs + (quantized - inputs).detach()
        probs = torch.mean(encodings, dim=0)
        perplexity = torch.exp(-torch.sum(probs * torch.log(probs + 1e-10)))
        return loss, quantized.permute(0, 3, 1, 2).contiguous(), perplexity


class STN(nn.Module):
    def __init__(self):
        super().__init__()
        self.localization = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(2, stride=2), nn.ReLU(True))
        self.fc_loc = nn.Sequential(nn.Linear(4 * 4 * 4, 8), nn.ReLU(True), nn.Linear(8, 3 * 2))
        self.fc_loc[2].weight.data.mul_(0.1)
        self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def forward(self, x):
        theta = self.fc_loc(self.localization(x).view(-1, 64)).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False, padding_mode="border")


def run(same):
    losses = []
    x = same("x", torch.randn(7, 5))
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 0, 2], [1, 2, 3, 4, 5, 6, 0, 3, 2]])
    edge_index = torch.cat([edge_index, torch.stack([edge_index[1], edge_index[0]])], dim=1)
    edge_index = torch.unique(edge_index, dim=1)
    degree = torch.bincount(edge_index[1], minlength=7).float().clamp(min=1)
    gat, head = same(GAT(5, 3, 2)), same(nn.Linear(6, 3))
    optimizer = torch.optim.Adam([{"params": gat.parameters(), "lr": 0.02}, {"params": head.parameters()}], lr=0.01)
    train_mask = torch.arange(7) < 5
    for _ in range(3):
        out = F.log_softmax(head(gat(x, edge_index)) / degree.sqrt()[:, None], dim=1)
        loss = F.nll_loss(out[train_mask], (torch.arange(7) % 3)[train_mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    quantizer, encoder = same(VectorQuantizer(8, 4, 0.25)), same(nn.Conv2d(1, 4, 4, stride=2, padding=1))
    images = same("images", torch.rand(3, 1, 12, 12))
    stn = same(STN())
    optimizer = torch.optim.SGD([*quantizer.parameters(), *encoder.parameters(), *stn.parameters()], lr=0.1)
    for _ in range(3):
        vq_loss, quantized, perplexity = quantizer(encoder(stn(images)))
        recon = F.pixel_shuffle(quantized, 2)
        loss = (
            F.l1_loss(recon, images) + vq_loss + (1 - F.cosine_similarity(recon.flatten(1), images.flatten(1))).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [loss.item(), perplexity.item()]
    fourier = torch.fft.rfft2(images).abs().log1p().mean()
    u, s, v = torch.linalg.svd(images[0, 0])
    return losses + [fourier.item(), s.max().item(), torch.einsum("bchw,bchw->b", images, images).sum().item()]
