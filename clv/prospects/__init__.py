"""What a customer is worth at the first order, before there is any history.

::

    first_orders.py          what was known at the first order's hour, a row a customer
    first_order_coding.py    amounts, channels and days as numbers that models take
    leaks.py                 columns that know too much to have been known then
    first_order_model.py     how often and how much, moved by them: a value with its interval
    segment_values.py        what a new customer is worth by channel or country
    first_order_backtest.py  held against what came, beside other ways to say it
"""
