"""Shakespeare, character by character, by two layers of LSTM; it writes a few lines at the end."""

import autograd_core as ag
import nn
import optim
from nn import FileError, plot
from nn.data import DataLoader, TensorDataset, TinyShakespeare, Vocabulary
from nn.train import fit

ROWS, DATA, EPOCHS = "H-30, H-31", "tiny Shakespeare", 5
PRINTED = "on War and Peace, 57 symbols: loss 0.60 (0.87 bits) on the training text after 300 epochs"
LENGTH, WIDTH = 128, 256


class Writer(nn.Module):
    """Scores of the next character after each one."""

    def __init__(self, symbols):
        super().__init__()
        self.embed = nn.Embedding(symbols, 64)
        self.lstm = nn.LSTM(64, WIDTH, num_layers=2, batch_first=True, dropout=0.2)
        self.scores = nn.Linear(WIDTH, symbols)

    def forward(self, x):
        return self.scores(self.lstm(self.embed(x))[0]).transpose(1, 2)

    @ag.no_grad()
    def write(self, start, count, temperature=0.8):
        """Characters drawn one after the other, the state kept between them."""
        self.eval()
        found, state = list(start), None
        outputs, state = self.lstm(self.embed(ag.tensor([found])), state)
        for _ in range(count):
            chances = (self.scores(outputs[:, -1]) / temperature).softmax(dim=1)
            found.append(int(ag.multinomial(chances, 1)))
            outputs, state = self.lstm(self.embed(ag.tensor([found[-1:]])), state)
        return found


def pieces(numbers, length=LENGTH, least=1):
    """Pieces of the text, and the same one character later."""
    count = max(len(numbers) - 1, 0) // length
    if count < least:
        raise FileError(
            f"{len(numbers)} characters give {count} pieces of {length} where {least} are needed: the text is cut off"
        )
    cut = lambda a: a[: count * length].reshape(count, length)
    return TensorDataset(cut(numbers[:-1]), cut(numbers[1:]))


def main(settings):
    text = TinyShakespeare(settings.data).text
    symbols = Vocabulary(text)
    numbers = symbols.encode(text)
    train, test = pieces(numbers[: len(numbers) * 9 // 10]), pieces(numbers[len(numbers) * 9 // 10 :])
    model = Writer(len(symbols))
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    history = fit(
        model,
        DataLoader(settings.some(train, 64), 64, shuffle=True),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs),
        validation=DataLoader(settings.some(test, 16), 64),
        clip_norm=1.0,
        monitor="validation loss",
        **settings.fit,
    )
    print(symbols.decode(model.write(symbols.encode("ROMEO:\n"), 60 if settings.quick else 400)))
    settings.picture("curves", plot.curves, history)
    bits = lambda loss: loss / 0.6931471805599453
    return {"bits per character": bits(history["loss"][-1]), "on text not seen": bits(min(history["validation loss"]))}
