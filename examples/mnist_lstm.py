"""MNIST digits read row by row by an LSTM, which answers after the last row."""

import nn
import optim
from nn import plot
from nn.data import MNIST, DataLoader
from nn.metrics import accuracy
from nn.train import fit

ROWS, DATA, PRINTED, EPOCHS = "S63", "MNIST", "test accuracy 0.9541", 2


class Reader(nn.Module):
    """28 steps of 28 pixels, and scores of ten classes from the last state."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.scores = nn.Linear(128, 10)
        for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
            nn.init.zeros_(bias)
        nn.init.ones_(self.lstm.bias_ih_l0[128:256])  # what the forget gate starts from
        nn.init.normal_(self.scores.weight)

    def forward(self, images):
        outputs, _ = self.lstm(images.flatten(1, 2))
        return self.scores(outputs[:, -1])


def main(settings):
    train, test = (MNIST(settings.data, train) for train in (True, False))
    model = Reader()
    history = fit(
        model,
        DataLoader(settings.some(train), 128, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(model.parameters(), lr=1e-3),
        validation=DataLoader(settings.some(test), 1000),
        metrics={"accuracy": accuracy},
        **settings.fit,
    )
    settings.picture("curves", plot.curves, history)
    return {"test accuracy": history["validation accuracy"][-1]}
