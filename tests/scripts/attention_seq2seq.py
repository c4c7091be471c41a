"""Translation by recurrent networks with additive attention, teacher forcing, a gradient of a gradient, own functions."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.autograd import Function

SOS_token, EOS_token = 0, 1


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.0):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long).fill_(SOS_token)
        decoder_hidden, decoder_outputs, attentions = encoder_hidden, [], []
        for i in range(4):
            embedded = self.embedding(decoder_input)
            context, weights = self.attention(decoder_hidden.permute(1, 0, 2), encoder_outputs)
            output, decoder_hidden = self.gru(torch.cat((embedded, context), dim=2), decoder_hidden)
            decoder_outputs.append(self.out(output))
            attentions.append(weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_outputs[-1].topk(1)
                decoder_input = topi.squeeze(-1).detach()
        decoder_outputs = F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
        return decoder_outputs, decoder_hidden, torch.cat(attentions, dim=1)


class GradReverse(Function):
    @staticmethod
    def forward(ctx, x, lambd):
        ctx.lambd = lambd
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output.neg() * ctx.lambd * torch.ones_like(x), None


def run(same):
    encoder, decoder = same(EncoderRNN(9, 6)), same(AttnDecoderRNN(6, 8))
    source, target = same("source", torch.randint(9, (3, 5))), same("target", torch.randint(8, (3, 4)))
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.01)
    decoder_optimizer = optim.NAdam(decoder.parameters(), lr=0.01)
    criterion = nn.NLLLoss()
    losses = []
    for forced in (True, False, True):
        encoder_optimizer.zero_grad(), decoder_optimizer.zero_grad()
        outputs, hidden = encoder(source)
        decoded, _, attention = decoder(outputs, hidden, target if forced else None)
        loss = criterion(decoded.view(-1, decoded.size(-1)), target.view(-1))
        loss.backward()
        encoder_optimizer.step(), decoder_optimizer.step()
        losses += [loss.item(), attention[:, 1].max().item()]
    domain = same(nn.Linear(6, 2))
    seen = []
    hook = outputs.detach().requires_grad_()
    hook.register_hook(lambda g: seen.append(g.norm().item()))
    y = domain(GradReverse.apply(hook.mean(1), 0.3))
    F.cross_entropy(y, torch.tensor([0, 1, 1])).backward()
    losses += seen
    # a few steps of learning to learn: gradients through an update
    weight, bias = same("weight", torch.randn(1, 6)).requires_grad_(), torch.zeros(1, requires_grad=True)
    support, query = outputs.detach()[:, 0], outputs.detach()[:, 1]
    inner = F.mse_loss(F.linear(support, weight, bias), torch.ones(3, 1))
    grads = torch.autograd.grad(inner, (weight, bias), create_graph=True)
    fast = [p - 0.4 * g for p, g in zip((weight, bias), grads)]
    outer = F.mse_loss(F.linear(query, *fast), torch.zeros(3, 1))
    outer.backward()
    teacher, student = F.log_softmax(decoded.detach() / 2, -1), F.log_softmax(decoded * 1.5, -1)
    distill = F.kl_div(student, teacher, reduction="batchmean", log_target=True) * 4
    return losses + [outer.item(), weight.grad.norm().item(), bias.grad.item(), distill.item()]
