"""From lead to customer: stages, conversion at equal age, cost, speed, and what a lead is worth.

::

    lead_columns.py    which column of a CRM's export is what
    lead_cells.py      the cells, typed, and why a row cannot be used
    stage_order.py     the order of the stages
    lead_table.py      read_leads(): leads and the days when they reached each stage
    time_to_win.py     Kaplan-Meier of the win, and the share who never buy
    stage_moves.py     chances to move on from stage to stage, by channel
    equal_age.py       channels and months compared at equal age, or said to be too young
    lead_scores.py     open leads ranked by value
    score_backtest.py  such scores held against what became of the leads
    funnel_terms.py    the terms: age, value of a customer, cost to serve
    lead_funnel.py     lead_funnel(): all of it
"""
