"""Curves against finite differences, their own inverse, and what they must refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.decide.response import MichaelisMenten, Power
from clv.errors import InputError

CURVES = [
    Power(12, 0.6),
    Power(30, 0.45),
    Power(0.5, 0.05),
    Power(2, 0.95),
    MichaelisMenten(900, 20_000),
    MichaelisMenten(3, 0.5),
]
spends = st.floats(1e-3, 1e7)


@pytest.mark.parametrize("curve", CURVES, ids=repr)
@given(spend=spends)
@settings(deadline=None, max_examples=30)
def test_marginal_is_the_slope_of_customers(curve, spend):
    step = 1e-5 * spend
    slope = (curve.customers(spend + step) - curve.customers(spend - step)) / (2 * step)
    assert curve.marginal(spend) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("curve", CURVES, ids=repr)
@given(spend=spends)
@settings(deadline=None, max_examples=30)
def test_spend_at_inverts_marginal(curve, spend):
    # far below K the inverse of Michaelis-Menten loses digits of s, never of K + s
    tiny = 1e-12 * getattr(curve, "K", 0.0)
    assert curve.spend_at(curve.marginal(spend)) == pytest.approx(spend, rel=1e-9, abs=tiny)


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_nothing_spent_brings_nobody_and_curves_are_concave(curve):
    spend = np.linspace(0, 1e5, 2001)
    customers = curve.customers(spend)
    assert customers[0] == 0
    assert (np.diff(customers) > 0).all()
    assert (np.diff(customers, 2) < 0).all()


def test_nothing_is_spent_on_customers_dearer_than_the_first():
    video = MichaelisMenten(V=900, K=20_000)
    assert video.spend_at([900 / 20_000, 1.0, np.inf]).tolist() == [0, 0, 0]
    assert video.spend_at(0.0) == np.inf


@pytest.mark.parametrize("kind", [Power, MichaelisMenten])
def test_stacked_curves_answer_like_each_alone(kind):
    curves = [curve for curve in CURVES if type(curve) is kind]
    many, spend = kind.stack(curves), np.arange(1.0, len(curves) + 1)
    for verb in ("customers", "marginal", "spend_at"):
        alone = [float(getattr(c, verb)(s)) for c, s in zip(curves, spend, strict=True)]
        assert getattr(many, verb)(spend) == pytest.approx(alone, rel=1e-14)


def test_one_point_says_what_it_assumes():
    assumed, given_ = Power.from_point(5000, 400), Power.from_point(5000, 400, b=0.3)
    assert (assumed.b, assumed.assumed, given_.assumed) == (0.5, ("b",), ())
    # science: n(s) = n0 (s / s0)^b, marginal CAC = CAC / b
    assert given_.customers(10_000) == pytest.approx(400 * 2**0.3)
    assert 1 / given_.marginal(5000) == pytest.approx(5000 / 400 / 0.3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Power(0, 0.5),
        lambda: Power(3, 1.0),
        lambda: Power(3, 0.0),
        lambda: Power(np.nan, 0.5),
        lambda: MichaelisMenten(-1, 5),
        lambda: MichaelisMenten(5, np.inf),
        lambda: Power.from_point(0, 10),
        lambda: Power.from_point(10, 0),
        lambda: Power(3, 0.5).customers(-1),
        lambda: Power(3, 0.5).marginal(np.nan),
    ],
)
def test_impossible_parameters_and_spends_are_refused(make):
    with pytest.raises(InputError):
        make()
