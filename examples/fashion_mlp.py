"""Pieces of clothing by a network with one hidden layer of 512 and dropout."""

import nn
import optim
from nn import plot
from nn.data import DataLoader, FashionMNIST
from nn.metrics import accuracy, confusion_matrix
from nn.train import fit, predict

ROWS, DATA, PRINTED, EPOCHS = "H-07, H-08", "Fashion-MNIST", "test accuracy 0.8871", 10


def main(settings):
    train, test = (FashionMNIST(settings.data, train) for train in (True, False))
    judge = DataLoader(settings.some(test), 1000)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 10))
    optimizer = optim.Adam(model.parameters())
    history = fit(
        model,
        DataLoader(settings.some(train), 64, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs),
        validation=judge,
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    scores, targets = predict(model, judge)
    settings.picture("curves", plot.curves, history)
    settings.picture("confusion", plot.confusion, confusion_matrix(scores, targets, 10), test.classes)
    return {"test accuracy": accuracy(scores, targets)}
