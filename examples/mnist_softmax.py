"""MNIST digits by softmax regression: one matrix, one bias, no hidden layer."""

import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import accuracy
from nn.train import fit

ROWS, DATA, PRINTED, EPOCHS = "F-17", "MNIST", "test accuracy 0.919", 100


def descent(settings, model, rate):
    """Train a model by plain gradient descent in batches of 100; returns how good it is."""
    train, test = (MNIST(settings.data, train) for train in (True, False))
    history = fit(
        model,
        DataLoader(settings.some(train), 100, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(model.parameters(), lr=rate),
        validation=DataLoader(settings.some(test), 1000),
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    settings.picture("curves", plot.curves, history)
    return {"test accuracy": history["validation accuracy"][-1]}


def main(settings):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for p in model.parameters():
        nn.init.zeros_(p)
    result = descent(settings, model, rate=0.01)
    settings.picture("weights", plot.filters, model[1].weight)
    return result
