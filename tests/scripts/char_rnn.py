"""Names by a recurrent network, letter by letter, hidden state carried over and detached."""

import string

import torch
import torch.nn as nn
from torch.autograd import Variable

all_letters = string.ascii_lowercase + " .,;'"
n_letters = len(all_letters) + 1


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.o2o = nn.Linear(hidden_size + output_size, output_size)
        self.dropout = nn.Dropout(0.0)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        input_combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(input_combined))
        output = self.i2o(input_combined)
        output = self.o2o(torch.cat((hidden, output), 1))
        return self.softmax(self.dropout(output)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


def inputTensor(line):
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.find(letter)] = 1
    return tensor


def targetTensor(line):
    letter_indexes = [all_letters.find(c) for c in line[1:]] + [n_letters - 1]
    return torch.LongTensor(letter_indexes)


class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(n_letters, 8)
        self.rnn = nn.GRU(8, 12, 2, dropout=0.0)
        self.decoder = nn.Linear(12, n_letters)
        self.init_weights()

    def init_weights(self):
        self.encoder.weight.data.uniform_(-0.1, 0.1)
        self.decoder.bias.data.zero_()
        self.decoder.weight.data.uniform_(-0.1, 0.1)

    def forward(self, x, h):
        y, h = self.rnn(self.encoder(x), h)
        return self.decoder(y.contiguous().view(-1, 12)), h


def repackage_hidden(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


def run(same):
    rnn = same(RNN(n_letters, 16, n_letters))
    criterion = nn.NLLLoss()
    learning_rate = 0.05
    losses = []
    for line in ["anna", "boris", "clara o'neil"]:
        target_line_tensor = targetTensor(line).unsqueeze_(-1)
        hidden = rnn.initHidden()
        rnn.zero_grad()
        loss = torch.Tensor([0])
        input_line_tensor = inputTensor(line)
        for i in range(input_line_tensor.size(0)):
            output, hidden = rnn(input_line_tensor[i], hidden)
            loss = loss + criterion(output, target_line_tensor[i])
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-learning_rate)
        losses.append(loss.item() / input_line_tensor.size(0))
    with torch.no_grad():
        input, hidden = inputTensor("a"), rnn.initHidden()
        for _ in range(5):
            output, hidden = rnn(input[0], hidden)
            topv, topi = output.topk(1)
            losses += [topv[0][0].item(), float(topi[0][0])]
            input = inputTensor(all_letters[min(topi[0][0], n_letters - 2)])
    model = same(CharLSTM())
    text = Variable(torch.tensor([all_letters.index(c) for c in "the quick brown fox jumps over it"]))
    hidden = None
    for i in range(0, text.size(0) - 1, 8):
        data, target = text[i : i + 8].unsqueeze(1), text[i + 1 : i + 9]
        data = data[: len(target)]
        hidden = hidden if hidden is None else repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = nn.functional.cross_entropy(output, target)
        model.zero_grad(set_to_none=False)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.5 * p.grad
        losses.append(loss.item())
    return losses
