"""Anybody's order export, read right: what kind of file, which column is what, which rows count.

::

    dialect.py     a text file's encoding, separator and header line
    sources.py     files, folders and patterns to one table of text, with line numbers
    grouped_reports.py  rows under a line with the name of their group
    datev.py       the year of days in DATEV's exports
    numbers.py     amounts as people write them: decimal mark, signs, currencies
    moments.py     dates as people write them: order of day and month, zones, serials, epochs
    vocabulary.py  what columns and cells are called, in several languages
    amount_columns.py  adjusted amounts, refunds that are in the amount, cents
    debit_credit.py  a marker of the side beside an amount, or a column for each side
    discounts.py   a discount: taken off, or in the amount already
    below_table.py lines below a table that are no rows
    recipe.py      how one firm's files are read: the ``[data]`` of its TOML
    formats/       recipes of shops, payment systems and analytics, a TOML file each
    row_meanings.py  which rows are purchases, by their status or kind
    proposal.py    a recipe for a file, with the reasons, and the questions left open
    reading.py     a recipe applied: the order log, and what was left out with its reason
    spend_table.py a table of spend, read by the same looks
    channel_names.py its channels and those of the orders
    fingerprint.py whether a log is of the firm that a model learned from
    new_columns.py columns that the model's log had not, where they change sums
    verdict.py     what speaks against training on a log
    check.py       files read, cleaned, counted and judged: what every command reads orders by
"""
