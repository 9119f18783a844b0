"""What a campaign, an offer or a channel really does: tests by chance, planned and read.

::

    plan_test()     customers, weeks, what holding out costs, the decision that it would change
    assign_test()   who gets it, by chance within strata: the assignment file
    measure_test()  afterwards: the effect, adjusted for what was known before, with its interval
    campaign_roi()  what a campaign earned by its cost, beside what is usually reported

What was measured goes where an assumption stood: into the offers of ``clv targets``, the retention
and the curves of ``clv allocate``. It stands above both of these rooms and below the use cases.
"""
