"""Decisions: whom to keep, what a channel costs, where the next unit of money goes."""
