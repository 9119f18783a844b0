"""Recipes: short scripts that train, judge and promote, made of clv's public functions."""
