"""Parts of speech by an LSTM: words to numbers, sequences of different lengths, packed."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

training_data = [
    ("The dog ate the apple".split(), ["DET", "NN", "V", "DET", "NN"]),
    ("Everybody read that book".split(), ["NN", "V", "DET", "NN"]),
    ("The apple".split(), ["DET", "NN"]),
]


class LSTMTagger(nn.Module):
    def __init__(self, embedding_dim, hidden_dim, vocab_size, tagset_size):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.word_embeddings = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, num_layers=2, bidirectional=True, batch_first=True)
        self.hidden2tag = nn.Linear(2 * hidden_dim, tagset_size)
        self.gru = nn.GRUCell(2 * hidden_dim, 2 * hidden_dim)

    def init_hidden(self, batch):
        weight = next(self.parameters()).data
        shape = (4, batch, self.hidden_dim)
        return weight.new(*shape).zero_(), weight.new_zeros(shape)

    def forward(self, sentences, lengths):
        embeds = self.word_embeddings(sentences)
        packed = pack_padded_sequence(embeds, lengths, batch_first=True, enforce_sorted=False)
        out, (h_n, c_n) = self.lstm(packed, self.init_hidden(len(sentences)))
        out, out_lengths = pad_packed_sequence(out, batch_first=True)
        h = torch.cat([h_n[-2], h_n[-1]], dim=-1)
        steps = []
        for t in range(out.size(1)):
            h = self.gru(out[:, t], h)
            steps.append(h)
        return self.hidden2tag(torch.stack(steps, dim=1))


def run(same):
    word_to_ix, tag_to_ix = {"<pad>": 0}, {"DET": 0, "NN": 1, "V": 2}
    for sent, _ in training_data:
        for word in sent:
            if word not in word_to_ix:
                word_to_ix[word] = len(word_to_ix)
    sentences = [torch.tensor([word_to_ix[w] for w in s], dtype=torch.long) for s, _ in training_data]
    targets = [torch.LongTensor([tag_to_ix[t] for t in ts]) for _, ts in training_data]
    lengths = torch.as_tensor([len(s) for s in sentences])
    padded = pad_sequence(sentences, batch_first=True)
    tags = pad_sequence(targets, batch_first=True, padding_value=-100)
    model = same(LSTMTagger(6, 5, len(word_to_ix), len(tag_to_ix)))
    loss_function = nn.CrossEntropyLoss(ignore_index=-100)
    optimizer = optim.RMSprop(model.parameters(), lr=0.01)
    losses = []
    for _ in range(6):
        model.zero_grad()
        scores = model(padded, lengths)
        loss = loss_function(scores.view(-1, len(tag_to_ix)), tags.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
        mask = tags != -100
        losses.append(((scores.argmax(-1) == tags) & mask).sum().item() / mask.sum().item())
        losses.append(F.softmax(scores, dim=-1).detach().cpu().numpy().max().item())
    return losses
