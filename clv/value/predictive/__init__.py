"""The full predictive distribution of a customer: purchases, and discounted money, by table.

A mean hides that most customers are worth nothing and a few a lot. The distribution has two parts:
an atom at 0, P(no purchase), which is a closed form per customer; and **given at least one purchase
everything depends on (x, T) only**, as t_x enters through P(alive) alone, so that

    Q(u) = 0 where u <= P(0),  else  Q_some(1 - (1 - u) / P(some); x, T).

Money is a scale family: the total of k purchases is (v + x zbar) BetaPrime(p k, q + p x). So the
curve Q_some / (v + x zbar) is tabled over (x, T) and the logit of the level, in which its log is
smooth with straight ends, and looked up for each customer. No draw is taken.

**Exact** are P(0), every count of purchases, and the mean discount of k purchases. **Approximate**
are the money quantiles: the discounted total of k purchases has the mean and the variance of its
discounts but not their shape (against exact simulation no error is seen at 15% a year), and the
table is interpolated. Where spend hardly varies (p above 50) money comes in steps of one purchase,
which the table rounds off.

::

    counts.py      how many purchases follow, and at which mean discount
    revenue.py     what they bring: a mixture over their number
    lattice.py     curves over (x, T), computed once at fixed nodes
    quantiles.py   quantiles and probabilities of customers
"""

from clv.value.predictive.quantiles import (
    ValueDistribution,
    purchase_cdf,
    purchase_quantiles,
    value_cdf,
    value_distribution,
    value_interval,
    value_quantiles,
)

__all__ = [
    "ValueDistribution",
    "purchase_cdf",
    "purchase_quantiles",
    "value_cdf",
    "value_distribution",
    "value_interval",
    "value_quantiles",
]
