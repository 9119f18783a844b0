"""The forecast of the next h: a purchase model, corrected, and a learner, pooled.

::

    inputs.py      what a learner reads of a customer: history, log, what the models say
    windows.py     earlier days with what followed: the rows to learn from
    learner.py     boosted trees: the correction of the purchase model, and a hurdle
    forest.py      trees read quickly
    attribution.py which inputs moved what trees say
    pool.py        both pooled into one distribution, their total set
    adoption.py    whether the pool beats the purchase model beyond chance

and the total of the whole base in calendar time::

    weekly_level.py    season, drift and shocks of the weekly totals
    clock.py           time that passes faster in a week that sells more
    calendar.py        what a firm knows itself: totals of earlier years, sales, closures
    calendar_total.py  the total with its interval
    calendar_groups.py the same by channel or cohort
"""

from clv.forecast.adoption import Adoption, learn_pool
from clv.forecast.inputs import READS
from clv.forecast.pool import Pool, PooledForecast

__all__ = ["READS", "Adoption", "Pool", "PooledForecast", "learn_pool"]
