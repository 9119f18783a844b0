"""What customers cost to win and what they are worth: CAC, cohorts, payback, concentration."""
