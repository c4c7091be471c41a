"""Train a small network to read handwritten digits: tensors, a loss, backward, and an update by hand.

pip install 'autograd-core[examples]' && python examples/train_digits.py
"""

import numpy as np
from sklearn.datasets import load_digits

import autograd_core as ag

EPOCHS, BATCH, RATE, MOMENTUM = 20, 32, 0.1, 0.9
rng = np.random.default_rng(0)

images, labels = load_digits(return_X_y=True)  # 1797 images of 8 x 8 = 64 pixels, from 0 to 16
images = images.astype(np.float32) / 16
order = rng.permutation(len(images))
train, test = order[:1437], order[1437:]


def layer(inputs, outputs):
    """Weights drawn so that signals keep their size, and biases of zero."""
    scale = np.sqrt(2 / inputs, dtype=np.float32)
    weight = scale * rng.standard_normal((inputs, outputs), dtype=np.float32)
    return ag.tensor(weight, requires_grad=True), ag.zeros(outputs, requires_grad=True)


(w1, b1), (w2, b2) = layer(64, 64), layer(64, 10)
parameters = [w1, b1, w2, b2]
velocities = [ag.zeros_like(p) for p in parameters]


def scores(x):
    """One score for each digit, for each image."""
    return (x @ w1 + b1).relu() @ w2 + b2


def cross_entropy(y, target):
    """The mean of -log softmax(y)[target]."""
    return (y.logsumexp(dim=1) - y[np.arange(len(target)), target]).mean()


def accuracy(rows):
    with ag.no_grad():
        return float(np.mean(scores(ag.tensor(images[rows])).argmax(dim=1).numpy() == labels[rows]))


for epoch in range(EPOCHS):
    losses = []
    for batch in np.array_split(rng.permutation(train), len(train) // BATCH):
        loss = cross_entropy(scores(ag.tensor(images[batch])), labels[batch])
        loss.backward()
        with ag.no_grad():
            for p, v in zip(parameters, velocities, strict=True):
                v.mul_(MOMENTUM).add_(p.grad)
                p.sub_(RATE * v)
                p.grad = None
        losses.append(loss.item())
    print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  test accuracy {accuracy(test):.4f}")

print(f"final test accuracy: {accuracy(test):.4f}")
