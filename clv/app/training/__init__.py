"""Training: what ``clv train``, ``clv backtest``, ``clv promote`` and the recipes are made of."""
