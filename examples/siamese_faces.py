"""Whether two photographs show one person, by one network that looks at both."""

import numpy as np

import autograd_core as ag
import nn
import optim
from nn import plot
from nn.data import DataLoader, OrlFaces, TensorDataset, random_split
from nn.metrics import n_way_accuracy
from nn.train import fit

ROWS, DATA, EPOCHS = "H-42", "ORL faces", 10
PRINTED = "accuracy in 1,000 trials of 4, 9, 16, 25, 36, 40 ways: 0.963 0.931 0.845 0.767 0.679 0.659"
WAYS = (4, 9, 16, 25, 36, 40)


class Siamese(nn.Module):
    """The distance of two images in a space of 50 dimensions, as odds that they show one person."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(1, 16, 6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten(), nn.Linear(16 * 53 * 43, 50), nn.ReLU(), nn.Dropout(0.1),
        )  # fmt: skip
        self.odds = nn.Linear(50, 1)

    def forward(self, a, b):
        return self.odds((self.embed(a) - self.embed(b)).abs())[:, 0]


def pairs(people, count):
    """Rows of two images, and whether they show one person: half of them do."""
    rng = np.random.default_rng(42)
    first = rng.integers(0, len(people), count)
    same = np.arange(count) % 2 == 0
    chosen = [rng.choice(np.flatnonzero((people == people[k]) == s)) for k, s in zip(first, same)]
    return np.stack([first, chosen], axis=1), same.astype(np.float32)


def main(settings):
    images, people = OrlFaces(settings.data).arrays()
    rows, same = pairs(people, 128 if settings.quick else 8000)
    train, held = random_split(TensorDataset(rows, same), [0.9, 0.1])
    together = lambda samples: (
        images[(r := np.stack([s[0] for s in samples]))[:, 0]],
        images[r[:, 1]],
        np.stack([s[1] for s in samples]),
    )
    loaders = [
        DataLoader(part, 64, shuffle=part is train, collate_fn=lambda s: tuple(map(ag.tensor, together(s))))
        for part in (train, held)
    ]
    model = Siamese()
    history = fit(
        model,
        loaders[0],
        loss=nn.BCEWithLogitsLoss(),
        optimizer=optim.Adam(model.parameters(), lr=1e-3),
        validation=loaders[1],
        monitor="validation loss",
        **settings.fit,
    )
    with ag.no_grad():
        places = ag.cat([model.eval().embed(ag.tensor(images[k : k + 50])) for k in range(0, len(images), 50)])
    distance = lambda query, others: -model.odds(ag.tensor(np.abs(others - query)))
    settings.picture("curves", plot.curves, history)
    settings.picture("people", plot.embedding, places, people)
    trials = 100 if settings.quick else 1000
    return {f"{w} ways": n_way_accuracy(distance, places, people, w, trials) for w in WAYS}
