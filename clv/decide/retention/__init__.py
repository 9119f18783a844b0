"""Whom to keep, with which offer, at what profit: one plan under one budget, with a holdout."""
