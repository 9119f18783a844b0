"""Who will not buy again, and why.

::

    model.py             P(no purchase in h): the pooled forecast's, or the purchase model's
    score_effects.py     what moved it away from the base's average, exactly
    reasons.py           the same in words
    contracts.py         where customers are under contract: who leaves is known
    contract_columns.py  what a table says of them
    classifier.py        what learns from it
"""
