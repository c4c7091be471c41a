"""Train a small convolutional network on handwritten digits, each step compiled as a whole.

pip install 'autograd-core[examples]' && python examples/train_network.py
"""

import numpy as np
from sklearn.datasets import load_digits

import autograd_core as ag
import nn
import optim
from nn import functional as F

EPOCHS, BATCH, rng = 12, 64, np.random.default_rng(0)
ag.manual_seed(0)

images, labels = load_digits(return_X_y=True)  # 1797 images of 8 x 8 pixels, from 0 to 16
images = images.reshape(-1, 1, 8, 8).astype(np.float32) / 16
order = rng.permutation(len(images))
train, test = order[:1437], order[1437:]

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 10),
)  # fmt: skip
optimizer = optim.AdamW(model.parameters(), lr=3e-3)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)


@ag.compile
def step(x, y):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@ag.compile
def predict(x):
    with ag.no_grad():
        return model(x).argmax(dim=1)


def accuracy():
    model.eval()
    return float(np.mean(predict(ag.tensor(images[test])).numpy() == labels[test]))


for epoch in range(EPOCHS):
    model.train()
    losses = []
    batches = rng.permutation(train)[: len(train) // BATCH * BATCH].reshape(-1, BATCH)
    for batch in batches:
        losses.append(step(ag.tensor(images[batch]), ag.tensor(labels[batch])).item())
    schedule.step()
    print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  test accuracy {accuracy():.4f}")

print(f"final test accuracy: {accuracy():.4f}  ({step.cache_info()})")
