"""clv: what is each customer worth, whom to keep, and where to spend."""
