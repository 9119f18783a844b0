"""Decisions: whom to keep, what a channel costs, where the next unit of money goes.

They take tables and numbers, never models, so that any scorer or a spreadsheet will do.

::

    retention.py   retention_targets, gain_curve: the list worth contacting, with a control group
    offer.py       what an offer costs and earns per customer; the save rate, assumed or measured
    campaign.py    how far a budget reaches down the list, and the totals
    channels.py    channel_costs: CAC per channel and period, paid and blended apart
    spend.py, cohorts.py    the spend table, its periods, and the new customers in them
    ratios.py      LTV:CAC, payback, marginal CAC, the table per channel
    response.py    new customers against spend: one class per curve
    gain.py        retention as a curve of gain against spend, one more option for the budget
    allocate.py    Channel, allocate: one budget for all of it
    budget.py      the exact solver and its certificate, arrays in, arrays out
    allocation.py, findings.py    what allocate returns, in numbers and in words
    plan.py, sections.py, mistakes.py    PLAN.toml, read strictly
"""
