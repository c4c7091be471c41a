"""MNIST digits by a network with two hidden layers, trained by plain gradient descent."""

import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import accuracy
from nn.train import fit

ROWS, DATA, PRINTED, EPOCHS = "F-18", "MNIST", "test accuracy 0.982", 60


def main(settings):
    train, test = (MNIST(settings.data, train) for train in (True, False))
    layers = [nn.Linear(784, 256), nn.Linear(256, 256), nn.Linear(256, 10)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    model = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    history = fit(
        model,
        DataLoader(settings.some(train), 100, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(model.parameters(), lr=0.1),
        validation=DataLoader(settings.some(test), 1000),
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    settings.picture("curves", plot.curves, history)
    return {"test accuracy": history["validation accuracy"][-1]}
