"""Decisions: whom to keep, what a channel costs, where the next unit of money goes.

They take tables and numbers, never models, so that any scorer or a spreadsheet will do.

::

    scores.py      scores of customers, read and checked once
    retention/     plan_campaign: whom to contact with which offer, and who is held out
        offer.py, actions.py    what an offer costs and gains with each customer
        eligibility.py, control_group.py    who may be contacted; who is held out by chance
        hull.py, capacity.py    the best plan within a budget, and within places
        campaign.py, plan.py, campaign_summary.py    before its budget, within it, and its totals
    budget/        allocate: one budget for channels and retention
        response.py, gain_curve.py, quality.py    customers or gain against spend
        channel.py, problem.py, solver.py, sweep.py    the problem, its exact solution, many budgets
        modes.py, scenarios.py    other targets than profit; plans side by side
        uncertainty.py, information.py    how sure a plan is, and which channel to test next
        allocation.py, allocation_findings.py    what it gives, in numbers and in words
    acquisition/   CAC beside value: by channel, segment and cohort; payback, tiers, concentration
    response/      curves estimated from a spend table and lift tests
"""
