"""Handwritten digits of 8 x 8 pixels by a network with one hidden layer.

The images come with scikit-learn, so nothing is downloaded: pip install 'autograd-core[examples]'
"""

import numpy as np
from sklearn.datasets import load_digits

import nn
import optim
from nn import plot
from nn.data import DataLoader, TensorDataset, random_split
from nn.metrics import accuracy, confusion_matrix
from nn.train import fit, predict

ROWS, DATA, PRINTED, EPOCHS = "-", "scikit-learn's digits", "nothing: this one is ours", 30


def main(settings):
    images, labels = load_digits(return_X_y=True)  # 1797 images of 64 pixels, from 0 to 16
    train, test = random_split(TensorDataset((images / 16).astype(np.float32), labels), [1437, 360])
    judge = DataLoader(test, 360)

    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    history = fit(
        model,
        DataLoader(settings.some(train), 32, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        validation=judge,
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    scores, targets = predict(model, judge)
    settings.picture("curves", plot.curves, history)
    settings.picture("confusion", plot.confusion, confusion_matrix(scores, targets))
    return {"test accuracy": accuracy(scores, targets)}
