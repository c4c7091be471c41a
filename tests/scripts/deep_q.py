"""Reinforcement learning: replayed steps, a target network that follows softly, gathered values, a policy."""

import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 16)
        self.layer2 = nn.Linear(16, 16)
        self.layer3 = nn.Linear(16, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine = nn.Linear(4, 8)
        self.action_head, self.value_head = nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x):
        x = F.hardswish(self.affine(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def run(same):
    rng = random.Random(0)
    policy_net, target_net = DQN(4, 2), DQN(4, 2)
    policy_net = same(policy_net)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
    memory = deque([], maxlen=100)
    states = same("states", torch.randn(30, 4))
    for k in range(29):
        action = torch.tensor([[rng.randrange(2)]], dtype=torch.long)
        following = None if k % 7 == 6 else states[k + 1].unsqueeze(0)
        memory.append(Transition(states[k].unsqueeze(0), action, following, torch.tensor([rng.random()])))
    losses = []
    for _ in range(4):
        batch = Transition(*zip(*rng.sample(memory, 12)))
        mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), dtype=torch.bool)
        non_final = torch.cat([s for s in batch.next_state if s is not None])
        chosen = policy_net(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
        next_values = torch.zeros(12)
        with torch.no_grad():
            next_values[mask] = target_net(non_final).max(1).values
        expected = (next_values * 0.9) + torch.cat(batch.reward)
        loss = nn.SmoothL1Loss()(chosen, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        target, source = target_net.state_dict(), policy_net.state_dict()
        for key in source:
            target[key] = source[key] * 0.5 + target[key] * (1 - 0.5)
        target_net.load_state_dict(target)
        losses.append(loss.item())
    policy = same(Policy())
    probs, values = policy(states[:6])
    returns = torch.tensor([0.9**k for k in range(6)])
    returns = (returns - returns.mean()) / (returns.std() + torch.finfo(torch.float32).eps)
    log_prob = torch.log(probs[torch.arange(6), torch.arange(6) % 2])
    advantage = returns - values.squeeze(-1).detach()
    loss = torch.stack([-p * a for p, a in zip(log_prob, advantage)]).sum() + F.huber_loss(values[:, 0], returns)
    loss -= 0.01 * -(probs * probs.log()).sum(-1).mean()
    loss.backward()
    return losses + [loss.item(), *(p.grad.abs().max().item() for p in policy.parameters())]
