"""From raw orders to the summary that the models read."""
