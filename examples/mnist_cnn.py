"""MNIST digits by a convolutional network with two pairs of convolution and pooling."""

import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import accuracy
from nn.train import fit

ROWS, DATA, PRINTED, EPOCHS = "F-30", "MNIST", "test accuracy 0.994", 11


def main(settings):
    train, test = (MNIST(settings.data, train) for train in (True, False))
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 10),
    )  # fmt: skip
    for layer in model:
        if hasattr(layer, "weight"):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    history = fit(
        model,
        DataLoader(settings.some(train), 100, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs),
        validation=DataLoader(settings.some(test), 500),
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    settings.picture("curves", plot.curves, history)
    settings.picture("filters", plot.filters, model[0].weight)
    return {"test accuracy": history["validation accuracy"][-1]}
