"""SIMULATED customers and brands with known truth: the test bed for every forecast and decision.

Nothing here describes real people. ``simulate_brand`` gives an order log, a spend table, a campaign
log and the truth behind them; ``simulate_customers`` a plain summary of any size for benchmarks.

::

    process.py           how one customer buys: exact BG/NBD purchases, Gamma-Gamma values
    market.py            channels, their weeks of spend, and who comes
    simulated_offer.py   one randomised retention offer, and what it changes
    brand.py             the log and the truth behind it
    simulated_subscriptions.py  subscribers of a few plans, and the truth behind them
    simulated_lines.py   order lines of customers with tastes, and the truth behind them
    simulated_leads.py   leads of channels of different quality, and the truth behind them
"""

from clv.simulate.brand import Brand, Truth, simulate_brand
from clv.simulate.market import CHANNELS, SimulatedChannel
from clv.simulate.process import CDNOW, draw_purchases, simulate_customers
from clv.simulate.simulated_leads import SimulatedLeads, simulate_leads
from clv.simulate.simulated_lines import SimulatedLines, simulate_order_lines
from clv.simulate.simulated_offer import SimulatedOffer
from clv.simulate.simulated_subscriptions import SimulatedSubscriptions, simulate_subscriptions

__all__ = [
    "CDNOW",
    "CHANNELS",
    "Brand",
    "SimulatedChannel",
    "SimulatedLeads",
    "SimulatedLines",
    "SimulatedOffer",
    "SimulatedSubscriptions",
    "Truth",
    "draw_purchases",
    "simulate_brand",
    "simulate_customers",
    "simulate_leads",
    "simulate_order_lines",
    "simulate_subscriptions",
]
