"""Cell membranes under the electron microscope, marked by a U-Net."""

import autograd_core as ag
import nn
import optim
from nn import plot
from nn.data import DataLoader, Membranes, Subset
from nn.metrics import iou
from nn.models import UNet
from nn.train import fit, predict

ROWS, DATA, EPOCHS = "S89, S90", "ISBI 2012, 30 sections: 26 to train with, 4 to test", 30
PRINTED = "on other images (cars, 128 x 128): validation loss 0.0518 after 500 batches"
SIDE = 128


class Parts:
    """Random parts of sections, turned and mirrored, so many for each section and epoch."""

    def __init__(self, sections, each):
        self.sections, self.each = sections, each

    def __len__(self):
        return len(self.sections) * self.each

    def __getitem__(self, k):
        image, mask = self.sections[k % len(self.sections)]
        top, left, turns = (int(ag.randint(0, n, ())) for n in (512 - SIDE + 1, 512 - SIDE + 1, 8))
        part = ag.stack([image, mask])[..., top : top + SIDE, left : left + SIDE]
        part = ag.rot90(part, turns % 4, (-2, -1))
        image, mask = part.flip(-1) if turns > 3 else part
        return image, mask


def main(settings):
    sections = Membranes(settings.data)
    train, test = Subset(sections, range(26)), Subset(sections, range(26, 30))
    model = UNet(1, 1, widths=(16, 32, 64, 128), padding=1, dropout=0.2)
    judge = DataLoader(settings.some(test, 1), 1)
    history = fit(
        model,
        DataLoader(Parts(settings.some(train, 8), 1 if settings.quick else 8), 8, shuffle=True, drop_last=True),
        loss=nn.BCEWithLogitsLoss(),
        optimizer=optim.Adam(model.parameters(), lr=1e-3),
        validation=judge,
        metrics={"iou of cells": lambda scores, masks: iou(scores > 0, masks > 0.5)},
        monitor="validation loss",
        **settings.fit,
    )
    scores, masks = predict(model, judge)
    settings.picture("curves", plot.curves, history)
    settings.picture(
        "sections", plot.images, ag.cat([sections[26][0][None], scores[:1].sigmoid(), masks[:1]]), columns=3
    )
    right = ((scores > 0).numpy() == (masks > 0.5).numpy()).mean()
    return {
        "validation loss": min(history["validation loss"]),
        "pixels right": float(right),
        "iou of membranes": iou(scores < 0, masks < 0.5),
    }
