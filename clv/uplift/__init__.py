"""Whom a contact pays for, learned from a randomised campaign log.

::

    campaign_log.py      the log as it comes in: checks, and what they say, in words
    feature_columns.py   features as bounded numbers, so that one odd customer moves nothing
    effects.py           doubly robust pseudo-outcomes, and T- and X-learner beside them
    lift.py              the final regression: a pooled lift plus as much difference as data bear
    study.py             the candidates, each judged out of fold
    uplift_model.py      fit_uplift() and the fitted record

No uplift library inside: econml 0.17 and causalml 0.18 install beside today's scikit-learn at the
price of numba, shap and pickled models, scikit-uplift has stood still since 2022, and what a small
log needs, a pooled lift to fall back on and a lift apart from its value, would still be ours.
"""

from clv.uplift.campaign_log import CampaignLog, against_control, read_campaign
from clv.uplift.uplift_model import UpliftModel, fit_uplift

__all__ = ["CampaignLog", "UpliftModel", "against_control", "fit_uplift", "read_campaign"]
