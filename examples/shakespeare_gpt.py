"""Shakespeare, character by character, by a small GPT; it writes a few lines at the end."""

import autograd_core as ag
import nn
import optim
from examples.shakespeare_lstm import pieces
from nn import plot
from nn.data import DataLoader, TinyShakespeare, Vocabulary
from nn.models import GPT
from nn.train import fit

ROWS, DATA, EPOCHS = "H-31 in spirit", "tiny Shakespeare", 4
PRINTED = "nothing for this text: compare with the LSTM's bits per character"


def main(settings):
    text = TinyShakespeare(settings.data).text
    symbols = Vocabulary(text)
    numbers = symbols.encode(text)
    train, test = pieces(numbers[: len(numbers) * 9 // 10]), pieces(numbers[len(numbers) * 9 // 10 :])
    model = GPT(len(symbols), 128, width=128, depth=4, heads=4, dropout=0.1)
    data = DataLoader(settings.some(train, 64), 32, shuffle=True)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    history = fit(
        model,
        data,
        loss=lambda scores, target: nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten()),
        optimizer=optimizer,
        batch_scheduler=optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=settings.epochs * len(data) + 1),
        validation=DataLoader(settings.some(test, 16), 64),
        clip_norm=1.0,
        monitor="validation loss",
        **settings.fit,
    )
    model.eval()
    start = ag.tensor(symbols.encode("ROMEO:\n")[None])
    written = model.generate(start, 60 if settings.quick else 400, temperature=0.8)
    print(symbols.decode(written[0]))
    settings.picture("curves", plot.curves, history)
    bits = lambda loss: loss / 0.6931471805599453
    return {"bits per character": bits(history["loss"][-1]), "on text not seen": bits(min(history["validation loss"]))}
