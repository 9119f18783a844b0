"""The routes of the API, one resource in one file: what it takes, what it answers, the route.

::

    server.py      health, ready, metrics, openapi.json
    model.py       the model card
    score.py       customers scored from their orders
    customers.py   customers found, and one looked up; chosen.py says which
    segments.py    what customers add up to by tier, recency, channel ...
    run_changes.py what changed since an earlier run, and why
    retention.py   whom to keep: a plan of one offer or several within one budget
    channels.py    what new customers cost and are worth, as published, or of a spend table
    allocate.py    where to spend one budget
    trials.py      how many customers a test takes, and that of a retention offer nobody tried
    exports.py     customers as a file
    reply.py       what all of these share: the store, what an answer carries, the audit
    query.py       no parameter is ignored in silence

A new route goes into a file of its own, which is named in ``ROUTES``; ``segments.py`` is the
shortest. Its answer derives from ``answers.Answer``, its body from ``bodies.Body``; what is wrong
with a field is raised within ``problems.of_field``. Who may use it is said by
``clv.web.access.roles``: what reads is open to viewers, anything else must be named there.
"""

from clv.web.v1 import (
    allocate,
    channels,
    contracts,
    customers,
    exports,
    funnel,
    offers,
    retention,
    run_changes,
    score,
    segments,
    server,
    trials,
)

ROUTES = (
    server,
    score,
    customers,
    segments,
    run_changes,
    retention,
    channels,
    funnel,
    offers,
    contracts,
    allocate,
    trials,
    exports,
)

__all__ = ["ROUTES"]
