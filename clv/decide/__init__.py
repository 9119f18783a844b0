"""Decisions: whom to keep, what a channel costs, where the next unit of money goes.

They take tables and numbers, never models, so that any scorer or a spreadsheet will do.

::

    retention.py   retention_targets, gain_curve: the list worth contacting, with a control group
    offer.py       what an offer costs and earns per customer; the save rate, assumed or measured
    campaign.py    how far a budget reaches down the list, and the totals
    channels.py    channel_costs: CAC per channel and period, paid and blended apart, with intervals
    segments.py    segment_costs: CAC by customer segment
    spend.py, cohorts.py    the spend table, its periods, and the new customers in them
    concentration.py    how few customers carry the business, and how much of it is repeat business
    balance.py     acquisition against retention for a firm that has only totals
    ratios.py      LTV:CAC, marginal CAC, the table per channel
    payback.py     when a customer has earned back its CAC, and the interval of that
    response.py    new customers against spend: one class per curve
    gain.py        retention as a curve of gain against spend, one more option for the budget
    allocate.py    Channel, allocate: one budget for all of it
    modes.py       targets beside profit: customers at least cost, a CPA, a ratio of LTV:CAC
    problem.py, feasible.py    the checked problem as arrays, and what makes one infeasible
    quality.py     a channel whose customers get worse as it grows
    budget.py      the exact solver and its certificate, arrays in, arrays out
    sweep.py, frontier.py    many budgets at once, and the table of what each would buy
    constraints.py, scenarios.py    what each constraint costs, and plans side by side
    uncertainty.py, information.py    how sure a plan is, and which channel to test next
    allocation.py, findings.py    what allocate returns, in numbers and in words
    plan.py, sections.py, mistakes.py    PLAN.toml, read strictly
"""
