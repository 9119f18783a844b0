"""What a store holds beside scores and orders, by where it comes from.

::

    document.py      StoreParts: documents, tables and notes, put together from several sources
    orders.py        what orders and model tell: cohorts, totals, reasons, how it was tested
    spend.py         what a spend table adds: channels, their curves, cohorts with CAC, a plan
    plan.py          a plan file as a document that names no files
    handoffs.py      what other commands wrote: targets, offers, the report of a monitor
    offer_totals.py  next offers in totals, one plan by action
    over_time.py     orders month by month, and the figures of each run
    campaign_list.py  the list of a campaign, as somebody hands it in
    campaign_results.py  campaigns that were run, and what came of them
    earlier_runs.py  what changed since the runs before, and what the next run needs to say so

=================  ================================================================================
document           who makes it
=================  ================================================================================
model_card         the model
terms              the model: what its values are stated under, also how time is discounted
total              the model and the orders: the value of all customers, with an interval
repeat_revenue     the orders
data_report        the cleaning of the orders
calibration        the model, if its training kept it
plan               ``--plan``, or ``--spend`` with orders and model
monitor            ``--monitor``
funnel             ``--funnel``
next_offers        ``--offers``, in totals
offer_report       ``--offer-report``
joint_plan         ``--targets`` that were planned with next offers, by action
referrals          ``--referrals``
order_months       the orders
run_figures        the scores, and those of the store that is replaced
plan_draws         the same: draws of its curves and values, for how sure it is
campaigns          ``--campaign-log``, and those of the store that is replaced
uplift             ``--campaign-scores`` with ``--campaign-log``: whom a contact changes
changes            the store that is replaced, its orders and its model
=================  ================================================================================

Tables: ``cohorts`` (orders; ``--spend`` adds CAC), ``reasons`` (orders and a model whose churn is a
pooled forecast's), ``channels`` and ``curves`` (``--spend``), ``targets`` (``--targets``),
``next_offers`` (``--offers``), ``run_values`` (what today's customers were worth in up to 12 runs
before), ``campaign_lists`` and ``measured_effects`` (``--campaign-log``), and ``model_files`` (the
model, for the next run to explain what changed).
Columns of the customers: ``eligible`` and ``reason`` (``--eligibility``).
"""
