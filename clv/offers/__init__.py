"""What to offer whom next: reminders of what is bought again, and items that are new to a customer.

::

    order_lines.py   lines of orders read, items told from postage and fees, all else counted
    returns.py       what came back, taken off the purchases that it undoes
    interactions.py  who bought which items up to a day, and what was bought after it
    ease.py          EASE^R: which items go together, in closed form
    candidates.py    what may be offered to a customer, with what is known of each pair
    largest.py       the largest of many values, without putting them all in order
    chance.py        the chance of a purchase, learned at an earlier day
    spending.py      what a purchase of an item brings, and its margin
    because.py       why an item is offered, in words and in exact contributions
    ranking.py       next_best_offers(): the offers of every customer, ranked by value
    offer_backtest.py  offers held against what was bought, beside popularity and habit
"""
