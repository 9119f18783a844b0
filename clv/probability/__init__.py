"""Probability models: one file each, pure functions first, a thin estimator below."""
