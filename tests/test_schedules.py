"""Schedules of learning rates beside PyTorch's, to the last bit, and those that PyTorch does not have."""

import pytest
from record_optim import recorded
from schedules import SCHEDULES, STEPS, advance, start

import autograd_core as ag
import optim
from optim import lr_scheduler


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    mine, theirs = (advance(*start(o, t, name), STEPS) for o, t in ((optim, ag.tensor), (torch.optim, torch.tensor)))
    assert mine == theirs


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_that_were_recorded(name):
    assert advance(*start(optim, ag.tensor, name), STEPS)[::10] == recorded()[name].tolist()


def test_every_schedule_of_pytorch_has_a_case():
    torch = pytest.importorskip("torch")
    assert set(torch.optim.lr_scheduler.__all__) - {"LRScheduler"} == {name.split()[0] for name in SCHEDULES}


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n != "CyclicLR own"])
def test_state_goes_both_ways(name):
    torch = pytest.importorskip("torch")
    sides = [start(o, t, name) for o, t in ((optim, ag.tensor), (torch.optim, torch.tensor))]
    for optimizer, schedule in sides:
        advance(optimizer, schedule, 33)
    fresh = [start(o, t, name) for o, t in ((optim, ag.tensor), (torch.optim, torch.tensor))]
    for (optimizer, schedule), (new, moved) in zip(sides, fresh[::-1]):
        moved.load_state_dict(schedule.state_dict())
        for group, other in zip(new.param_groups, optimizer.param_groups):
            group |= {k: v for k, v in other.items() if k != "params"}
    results = [advance(*side, 60, begin=33) for side in (*sides, *fresh)]
    assert all(r == results[0] for r in results)


def one(lr=1.0, **options):
    return optim.SGD([ag.tensor([1.0])], lr=lr, **options)


def rates(optimizer, schedule, steps):
    return [r[0] for r in advance(optimizer, schedule, steps)]


def test_a_rise_and_then_no_more():
    o = one(2.0)
    assert rates(o, lr_scheduler.WarmUp(o, 4), 7) == [0, 0.5, 1, 1.5, 2, 2, 2]
    o = one()
    s = lr_scheduler.WarmUp(o, 2, 0.25, "exponential")
    assert rates(o, s, 4) == [0.25, 0.5, 1, 1]
    o = one()
    assert rates(o, lr_scheduler.WarmUp(o, 2, shape="cosine"), 3) == pytest.approx([0, 0.5, 1])


def test_a_rise_in_a_chain_is_followed_by_what_comes_after():
    o = one()
    chain = lr_scheduler.ChainedScheduler([lr_scheduler.WarmUp(o, 2, 0.5), lr_scheduler.StepLR(o, 4, 0.1)])
    assert rates(o, chain, 6) == pytest.approx([0.5, 0.75, 1, 1, 0.1, 0.1])


def test_the_schedule_of_transformers():
    o = one()
    found = rates(o, lr_scheduler.InverseSquareRootLR(o, 4000, d_model=512), 10)
    assert found == pytest.approx([512**-0.5 * min(t**-0.5, t * 4000**-1.5) for t in range(1, 11)])
    o = one(3.0)
    assert rates(o, lr_scheduler.InverseSquareRootLR(o, 4), 16)[3::12] == pytest.approx([3, 1.5])


def test_back_to_the_best_with_a_lower_rate():
    o = one(momentum=0.9)
    p = o.param_groups[0]["params"][0]
    s = lr_scheduler.RestartFromBest(o, patience=1, factor=0.5)
    for value, at in (3.0, 10.0), (1.0, 20.0), (2.0, 30.0), (2.0, 40.0):
        p.fill_(at)
        p.grad = ag.tensor([0.0])
        o.step()
        s.step(value)
    assert p.item() == 20 and o.param_groups[0]["lr"] == 0.5 and not o.state


def test_a_bold_driver_speeds_up_downhill_and_brakes():
    o = one()
    s = lr_scheduler.BoldDriver(o, 2.0, 0.1)
    found = []
    for value in 5.0, 4.0, 6.0, 5.0:
        s.step(value)
        found += s.get_last_lr()
    assert found == pytest.approx([2, 4, 0.4, 0.8])


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    lr = ag.tensor(1.0)
    o = one(lr)
    s = lr_scheduler.ExponentialLR(o, 0.5)
    o.step()
    s.step()
    assert o.param_groups[0]["lr"] is lr and lr.item() == 0.5 and s.base_lrs[0].item() == 1


def test_a_step_too_early_is_told():
    o = one()
    s = lr_scheduler.StepLR(o, 3)
    with pytest.warns(UserWarning, match=r"before optimizer\.step\(\)"):
        s.step()


def test_a_schedule_that_goes_on():
    o = one()
    with pytest.raises(KeyError, match="load the optimizer's state first"):
        lr_scheduler.StepLR(o, 3, last_epoch=4)
    advance(o, lr_scheduler.StepLR(o, 3), 5)
    assert lr_scheduler.StepLR(o, 3, last_epoch=4).last_epoch == 5


BAD = {
    r"StepLR: schedules the rates of an Optimizer, got int 3": lambda o: lr_scheduler.StepLR(3, 1),
    r"step_size must be at least 1, got 0": lambda o: lr_scheduler.StepLR(o, 0),
    r"ConstantLR: factor must be from 0 to 1, got 2": lambda o: lr_scheduler.ConstantLR(o, 2),
    r"LinearLR: factors are at most 1": lambda o: lr_scheduler.LinearLR(o, 0.0),
    r"T_0 must be a whole number above 0, got 0\.5": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0.5),
    r"mode is 'triangular', 'triangular2' or 'exp_range'": lambda o: lr_scheduler.CyclicLR(o, 1, 2, mode="up"),
    r"needs total_steps, or epochs and steps_per_epoch": lambda o: lr_scheduler.OneCycleLR(o, 1),
    r"step 3 of a schedule of 2": lambda o: advance(o, lr_scheduler.OneCycleLR(o, 1, 2), 4),
    r"factor must be below 1": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=2),
    r"mode is 'min' or 'max', got 'low'": lambda o: lr_scheduler.ReduceLROnPlateau(o, "low"),
    r"2 values for 1 groups": lambda o: lr_scheduler.LambdaLR(o, [abs, abs]),
    r"lr_lambda must be a function of the epoch, got int": lambda o: lr_scheduler.LambdaLR(o, 3),
    r"meet at 1 milestones, got 0": lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 2)] * 2, []),
    r"needs at least one schedule": lambda o: lr_scheduler.ChainedScheduler([]),
    r"belongs to another optimizer": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(one(), 2)], o),
    r"whose step needs a value": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)]),
    r"WarmUp: shape is one of linear, cosine, exponential": lambda o: lr_scheduler.WarmUp(o, 3, shape="square"),
    r"Adagrad has neither momentum nor betas": lambda o: lr_scheduler.OneCycleLR(
        optim.Adagrad([ag.tensor([1.0])]), 1, 5
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_misuse_is_explained(message):
    with pytest.raises((ValueError, TypeError), match=message):
        BAD[message](one())
