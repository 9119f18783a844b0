"""The store: one read-only DuckDB file per scoring run, from which page and API are served.

``clv publish`` builds a file whole, checks it, and only then points ``FOLDER/CURRENT`` to it, so a
reader sees the old run or the new one, never a mixture. Two files are kept; ``clv rollback`` points
back. ::

    FOLDER/CURRENT                              which file is served, and which one was before
    FOLDER/stores/2011-12-09-81388f95-20111210T060000.000000Z.duckdb

    intake.py    scores and a log of any kind: checked, ranked, sorted
    build.py     these, and what else is shown, as tables of one file
    folder.py    files and pointer: the switch, the way back, what is kept
    publish.py   the three above, in the order that survives a crash
    filters.py   which customers, in which order: the only SQL that depends on a question
    reader.py    Store: one open file, and every question that can be put to it
    live.py      Stores: the file that CURRENT names, changed under load without losing a request

In the file:

=============  ====================================================================================
customers      one row per customer, sorted by ``key`` (the id as text): the scores, rank, tier,
               decile and, with a log, first_date, last_date, cohort, historic_orders,
               historic_revenue; ``no`` counts them
orders         with a log: the orders by ``no`` and date
segments       the customers by tier, decile, recency, channel, cohort, eligible, reason: sums
documents      by name, JSON: model_card, concentration, and what the caller adds; see
               ``clv.app.contents`` for what ``clv publish`` adds
given.*        tables that the caller adds, such as channels and cohorts; those of customers, such
               as targets and reasons, are sorted by ``no``, to find a customer's rows fast
about          the terms of all scores, what there is, and notes
=============  ====================================================================================
"""

from clv.store.filters import Filter, Sort
from clv.store.folder import Version, rollback, versions
from clv.store.live import Stores
from clv.store.publish import PublishedStore, publish
from clv.store.reader import CustomerPage, Store, Totals

__all__ = [
    "CustomerPage",
    "Filter",
    "PublishedStore",
    "Sort",
    "Store",
    "Stores",
    "Totals",
    "Version",
    "publish",
    "rollback",
    "versions",
]
