"""Customers under contract: tables from billing systems, the revenue book, models, and values.

::

    words.toml         what columns and cells are called in billing exports
    billing_tables.py  which kind of table it is, and how it is read
    subscriptions.py   rows of subscriptions, each used or left out with a reason
    invoice_lines.py   lines of invoices as subscriptions, prorations netted to their period
    contract_runs.py   what a customer holds without a gap: contracts, and the cells of a fit
    revenue_book.py    monthly movements to the cent, retention of customers and of money
    contract_fit.py    the model of each plan, chosen by what it forecasts, pooled
    contract_payments.py  what payments still to come are worth, per unit of price
    contract_value.py  what each customer is still worth, in the columns of every score
"""
