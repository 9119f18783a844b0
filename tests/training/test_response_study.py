"""The study in small: what pooled curves must reach on SIMULATED markets, beside other methods."""

import pytest

from training.response_study import CONSTANT, DESIGNS, LOG_LOG, ORACLE, POWER, SLSQP, study


@pytest.mark.slow
def test_pooled_curves_reach_most_of_the_possible_gain():
    """12 weeks, spend varying by 30%, 50 markets."""
    found = study(DESIGNS[0], 50, choose=False)
    share = found.share()
    assert share[POWER] >= 0.85
    assert share[POWER] > max(share[CONSTANT], share[LOG_LOG])
    assert share[POWER] > share[SLSQP] - 0.01
    assert (found.gain[ORACLE] >= found.gain.max(axis=1) - 1e-6).all()
    assert 0.85 <= found.covered.mean() <= 0.95
