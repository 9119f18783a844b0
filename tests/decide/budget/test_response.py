"""Curves against finite differences, their own inverse, and what they must refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv.decide.budget.response import Exponential, Hill, MichaelisMenten, Power, Tanh
from clv.errors import InputError

CURVES = [
    Power(12, 0.6),
    Power(30, 0.45),
    Power(0.5, 0.05),
    Power(2, 0.95),
    MichaelisMenten(900, 20_000),
    MichaelisMenten(3, 0.5),
    Exponential(900, 400_000),
    Tanh(900, 500),
    Hill(900, 20_000, 0.7),
    Hill(900, 20_000, 1.0),
]
S_SHAPED = [Hill(900, 20_000, 1.5), Hill(900, 20_000, 2.0), Hill(50, 300.0, 4.0)]
spends = st.floats(1e-3, 1e7)


@pytest.mark.parametrize("curve", CURVES, ids=repr)
@given(spend=spends)
@settings(deadline=None, max_examples=30)
def test_marginal_is_the_slope_of_customers(curve, spend):
    step = 1e-5 * spend
    slope = (curve.customers(spend + step) - curve.customers(spend - step)) / (2 * step)
    # where nearly everybody is won, the difference of two counts carries only their rounding
    rounding = 1e-15 * curve.customers(spend) / step
    assert curve.marginal(spend) == pytest.approx(slope, rel=1e-4, abs=rounding)


@pytest.mark.parametrize("curve", CURVES, ids=repr)
@given(spend=spends)
@settings(deadline=None, max_examples=30)
def test_spend_at_inverts_marginal(curve, spend):
    # far below K a saturating curve is nearly straight, and n' says little about s
    scale = curve.S * curve.c if isinstance(curve, Tanh) else getattr(curve, "K", 0.0)
    tiny = (1e-7 if isinstance(curve, Tanh) else 1e-12) * scale
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


@pytest.mark.parametrize("kind", [Power, MichaelisMenten, Exponential, Tanh, Hill])
def test_stacked_curves_answer_like_each_alone(kind):
    curves = [curve for curve in [*CURVES, *S_SHAPED] if type(curve) is kind]
    many, spend = kind.stack(curves), np.arange(1.0, len(curves) + 1)
    for verb in ("customers", "marginal", "spend_at"):
        alone = [float(getattr(c, verb)(s)) for c, s in zip(curves, spend, strict=True)]
        assert getattr(many, verb)(spend) == pytest.approx(alone, rel=1e-14)


def test_the_marginal_curves_invert_as_the_reference_does():
    """Science 8: 1-exp K ln(v V / (K mu)), tanh S c acosh(sqrt(v / (c mu)))."""
    v, mu = 60.0, 1.7
    assert Exponential(900, 20_000).spend_at(mu / v) == pytest.approx(
        20_000 * math.log(v * 900 / (20_000 * mu))
    )
    assert Tanh(900, 20).spend_at(mu / v) == pytest.approx(
        900 * 20 * math.acosh(math.sqrt(v / (20 * mu)))
    )
    assert Exponential(900, 20_000).spend_at(900 / 20_000) == 0
    assert Tanh(900, 20).spend_at([1 / 20, 1.0, np.inf]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("curve", S_SHAPED, ids=repr)
def test_the_envelope_of_an_s_shaped_curve_is_its_upper_hull(curve):
    """Against the hull of 20,001 points of the curve itself, by a walk over them."""
    spend = np.linspace(0, 20 * curve.K, 20_001)
    hull = [0]
    for i in range(1, len(spend)):
        while len(hull) > 1 and _falls_below(curve, spend, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    by_hand = np.interp(spend, spend[hull], curve.s_shaped(spend[hull]))
    assert curve.customers(spend) == pytest.approx(by_hand, rel=1e-5)
    # science 8: the tangent from 0 touches at K (exponent - 1)^(1 / exponent)
    assert spend[hull[1]] == pytest.approx(
        curve.K * (curve.exponent - 1) ** (1 / curve.exponent), abs=2e-3 * curve.K
    )


def _falls_below(curve, spend, a, b, c):
    n = curve.s_shaped(spend[[a, b, c]])
    return (n[1] - n[0]) * (spend[c] - spend[b]) <= (n[2] - n[1]) * (spend[b] - spend[a])


@pytest.mark.parametrize("curve", S_SHAPED, ids=repr)
@given(beyond=st.floats(1.001, 1e4))
@settings(deadline=None, max_examples=30)
def test_an_s_shaped_curve_is_inverted_beyond_its_tangent(curve, beyond):
    spend = beyond * float(curve.tangent)
    assert curve.spend_at(curve.marginal(spend)) == pytest.approx(spend, rel=1e-9)
    assert curve.spend_at(curve.marginal(0.0) * beyond) == 0
    assert curve.marginal(0.5 * curve.tangent) == curve.marginal(curve.tangent)
    assert curve.spend_at(0.0) == np.inf


@pytest.mark.parametrize("curve", [*CURVES, *S_SHAPED], ids=repr)
def test_spend_spread_over_periods_brings_what_they_bring_together(curve):
    spend = np.array([0.0, 10.0, 5000.0, 1e6])
    assert curve.over(13).customers(13 * spend) == pytest.approx(13 * curve.customers(spend))
    assert curve.over(13).marginal(13 * spend) == pytest.approx(curve.marginal(spend))


def test_the_power_curve_over_several_periods():
    """Science 7: N = W^(1 - b) k S^b."""
    curve = Power(12, 0.6).over(13)
    assert (curve.k, curve.b) == pytest.approx((12 * 13**0.4, 0.6))


def test_elasticity_is_the_slope_in_logs():
    for curve in CURVES:
        up, down = (np.log(curve.customers(700 * np.exp(h))) for h in (1e-4, -1e-4))
        assert curve.elasticity(700.0) == pytest.approx((up - down) / 2e-4, rel=1e-6)


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
        lambda: Exponential(5, 0),
        lambda: Tanh(-5, 1),
        lambda: Hill(5, 1, np.nan),
        lambda: Power(3, 0.5).over(0),
        lambda: Power.from_point(0, 10),
        lambda: Power.from_point(10, 0),
        lambda: Power(3, 0.5).customers(-1),
        lambda: Power(3, 0.5).marginal(np.nan),
    ],
)
def test_impossible_parameters_and_spends_are_refused(make):
    with pytest.raises(InputError):
        make()
