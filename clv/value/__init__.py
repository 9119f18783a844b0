"""What customers are worth: means, distributions, totals, channels."""
