"""Style of one picture on another by L-BFGS on its pixels, losses among the layers of a frozen network."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean.clone().detach().view(-1, 1, 1)
        self.std = std.clone().detach().view(-1, 1, 1)

    def forward(self, img):
        return (img - self.mean) / self.std


def run(same):
    cnn = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU(inplace=True),
    )  # fmt: skip
    cnn = same(cnn).eval().requires_grad_(False)
    content, style = same("content", torch.rand(1, 3, 12, 12)), same("style", torch.rand(1, 3, 12, 12))
    model = nn.Sequential(Normalization(torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.2])))
    content_losses, style_losses = [], []
    i = 0
    for layer in cnn.children():
        if isinstance(layer, nn.Conv2d):
            i += 1
            name = f"conv_{i}"
        elif isinstance(layer, nn.ReLU):
            name = f"relu_{i}"
            layer = nn.ReLU(inplace=False)
        else:
            name = f"pool_{i}"
        model.add_module(name, layer)
        if name == "conv_2":
            content_losses.append(ContentLoss(model(content).detach()))
            model.add_module("content_loss", content_losses[0])
        if name.startswith("conv"):
            style_losses.append(StyleLoss(model(style).detach()))
            model.add_module(f"style_loss_{i}", style_losses[-1])
    input_img = content.clone().requires_grad_(True)
    optimizer = optim.LBFGS([input_img], lr=0.5, max_iter=3)
    losses, calls = [], [0]
    while calls[0] <= 6:

        def closure():
            with torch.no_grad():
                input_img.clamp_(0, 1)
            optimizer.zero_grad()
            model(input_img)
            style_score, content_score = 0, 0
            for sl in style_losses:
                style_score += sl.loss
            for cl in content_losses:
                content_score += cl.loss
            loss = 1000 * style_score + content_score
            loss.backward()
            calls[0] += 1
            losses.append(loss.item())
            return style_score + content_score

        optimizer.step(closure)
    variation = (input_img[..., 1:] - input_img[..., :-1]).abs().mean() + F.avg_pool2d(input_img, 3, 1, 1).var()
    return losses + [variation.item()]
