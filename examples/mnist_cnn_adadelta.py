"""MNIST digits by a convolutional network of 600,810 parameters, one epoch of Adadelta."""

import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import accuracy
from nn.train import fit

ROWS, DATA, PRINTED, EPOCHS = "K-S38", "MNIST", "test accuracy 0.9712", 1


def main(settings):
    train, test = (MNIST(settings.data, train) for train in (True, False))
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(4608, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip
    assert sum(p.numel() for p in model.parameters()) == 600_810
    history = fit(
        model,
        DataLoader(settings.some(train), 128, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-7),
        validation=DataLoader(settings.some(test), 500),
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    settings.picture("curves", plot.curves, history)
    settings.picture("filters", plot.filters, model[0].weight)
    return {"test accuracy": history["validation accuracy"][-1], "test loss": history["validation loss"][-1]}
