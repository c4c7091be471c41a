"""A variational autoencoder, with the noise of its code given."""

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 24)
        self.fc21 = nn.Linear(24, 5)
        self.fc22 = nn.Linear(24, 5)
        self.fc3 = nn.Linear(5, 24)
        self.fc4 = nn.Linear(24, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        assert torch.randn_like(std).shape == eps.shape
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar, eps)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def run(same):
    model = same(VAE())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    pictures = same("pictures", torch.rand(40, 1, 8, 8))

    dataset = TensorDataset(pictures, torch.zeros(40, dtype=torch.long))
    loader = DataLoader(dataset, batch_size=16, shuffle=False)
    losses = []
    for epoch in range(3):
        model.train()
        train_loss = 0
        for batch_idx, (data, _) in enumerate(loader):
            eps = same(f"noise {epoch} {batch_idx}", torch.randn(len(data), 5))
            optimizer.zero_grad()
            recon_batch, mu, logvar = model(data, eps)
            loss = loss_function(recon_batch, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
        losses.append(train_loss / len(loader.dataset))
    with torch.inference_mode():
        sample = model.decode(eps).cpu().view(-1, 1, 8, 8)
    return losses + [sample.sum().item(), torch.cat([pictures[:8], sample], dim=0).mean().item()]
