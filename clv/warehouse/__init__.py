"""Scoring where the orders are: the formulas as SQL, and one table of what they look up."""
