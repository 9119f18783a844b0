"""One budget split exactly between channels and retention, with its shadow price and its doubt."""
