"""A log that grows every night: what is known of each customer, kept up without reading it again.

state_folder.py     the folder: orders taken in, customer-days, customers, and what is valid
customer_sums.py    what is known of a customer as sums, and how two of them add up
order_fold.py       new orders taken in: whom they add to, whom they make anew
state_summary.py    the summary that models read, of a state
"""
