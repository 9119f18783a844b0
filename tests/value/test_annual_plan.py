"""An annual plan: the seller's sum, what selection makes of it, and what it rests on."""

import numpy as np
import pytest

import clv
from clv.errors import InputError

MONTHLY = clv.ShiftedBetaGeometric.from_params(alpha=0.7, beta=3.796996)


@pytest.mark.parametrize(("selection", "gain"), [(0, 200.00), (5, 16.59)])
def test_the_gain_shrinks_as_those_accept_who_stay(selection, gain):
    plan = clv.annual_plan(MONTHLY, price=100, discount=0.25, selection=selection)
    assert plan.gain_per_acceptor == pytest.approx(gain, abs=0.005)
    even = clv.annual_plan(
        MONTHLY, price=100, discount=plan.break_even_discount, selection=selection
    )
    assert even.gain_per_acceptor == pytest.approx(0, abs=1e-9)


def test_the_gain_is_that_of_customers_drawn_one_by_one():
    weibull = clv.BetaDiscreteWeibull.from_params(alpha=0.5, beta=2.0, c=1.3)
    plan = clv.annual_plan(weibull, price=20, discount=0.1, selection=1.5)
    rng = np.random.default_rng(1)
    stays = 1 - rng.beta(0.5, 3.5, 400_000)
    paid = sum(rng.random(stays.size) < stays ** (t**1.3) for t in range(12)).mean()
    assert plan.expected_payments == pytest.approx(paid, abs=0.02)
    assert plan.gain_per_acceptor == pytest.approx(20 * 12 * 0.9 - 20 * paid, abs=0.4)


def test_both_unknowns_are_called_assumed():
    plan = clv.annual_plan(MONTHLY, price=100, discount=0.25)
    assert {each.chip for each in plan.findings} == {"assumed"}
    assert str(plan) == (
        "annual plan at 25% off: +200 in year one for each customer who accepts; break-even at "
        "41.7% off\n"
        "  In year one the plan brings 200 more of revenue for each customer who accepts, who "
        "would have paid 7.00 of 12 payments.\n"
        "  This holds only if those who accept would have left as fast as the others; mostly those "
        "accept who mean to stay. An offer to customers drawn at random would measure it.\n"
        "  Later years are not counted: how many renew the annual plan is not known."
    )
    loss = clv.annual_plan(MONTHLY, price=100, discount=0.6, selection=5)
    assert loss.findings[0].code == "annual_plan.loses"
    assert loss.findings[1].code == "annual_plan.selection"


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": 0.0},
        {"price": float("nan")},
        {"discount": 25.0},
        {"discount": -0.1},
        {"selection": -1.0},
        {"periods": 0},
        {"periods": 2.5},
    ],
)
def test_terms_without_sense_are_refused(wrong):
    with pytest.raises(InputError, match=r"makes no annual plan|is not in"):
        clv.annual_plan(MONTHLY, **({"price": 100, "discount": 0.25} | wrong))
