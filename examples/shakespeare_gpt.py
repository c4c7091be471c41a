"""Shakespeare, character by character, by a small GPT; it writes a few lines at the end.

Pieces are short, and weights begin as its width wants them: both bring it sooner past the most frequent successors.
"""

import autograd_core as ag
import nn
import optim
from examples.shakespeare_lstm import pieces
from nn import plot
from nn.data import DataLoader, TinyShakespeare, Vocabulary
from nn.models import GPT
from nn.train import fit

ROWS, DATA, EPOCHS = "H-31 in spirit", "tiny Shakespeare", 8
CONTEXT, BATCH = 64, 8
PRINTED = "nothing for this text: compare with the LSTM's bits per character"


def main(settings):
    text = TinyShakespeare(settings.data).text
    symbols = Vocabulary(text)
    numbers = symbols.encode(text)
    cut = len(numbers) * 9 // 10
    train, test = pieces(numbers[:cut], CONTEXT, least=BATCH), pieces(numbers[cut:], CONTEXT)
    model = GPT(len(symbols), CONTEXT, width=128, depth=4, heads=4, dropout=0.0)
    with ag.no_grad():  # GPT-2 begins with a deviation of 0.02, which is for its width of 768
        for matrix in (p for p in model.parameters() if p.ndim > 1):
            matrix *= 4
    data = DataLoader(settings.some(train, 64), BATCH, shuffle=True, drop_last=True)
    optimizer = optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.1)
    steps = settings.epochs * len(data) + 1
    warmed = optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1, cycle_momentum=False)
    history = fit(
        model,
        data,
        loss=lambda scores, target: nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten()),
        optimizer=optimizer,
        batch_scheduler=warmed,
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
