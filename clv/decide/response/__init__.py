"""Response curves estimated from what was spent and what came."""
