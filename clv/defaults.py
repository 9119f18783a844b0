"""What is taken where nobody says otherwise, the same in functions, commands, forms, files and API.

Plain numbers, so that the command line can state them without loading any mathematics.
"""

CONTROL_SHARE = 0.1  # of the customers whom it pays to contact, held out by chance
SEED = 0  # of the draw of the control group

# The save rate g of a campaign that was never run: Beta(a, b), the prior of the EMPC measure
# (Verbraken, Verbeke & Baesens 2013).
SAVE_RATE_A, SAVE_RATE_B = 6.0, 14.0
SAVE_RATE_MEAN = SAVE_RATE_A / (SAVE_RATE_A + SAVE_RATE_B)
SAVE_RATE_TEXT = f"Beta({SAVE_RATE_A:g}, {SAVE_RATE_B:g}), mean {SAVE_RATE_MEAN:.2f}"

DEAD = 0.2  # P(alive) below which a customer has probably left

LEVEL = 0.9  # of intervals: the chance that the truth lies within
SHRINK = 0.5  # what is taken of the value at stake, whose customers may leave later all the same

# From where on a log is said not to carry what is asked of it.
SHORTEST = 90  # days of orders below which nothing can be held out
GIANT = 0.2  # share of all money in one order or one customer, which then decides on every mean
FEWEST_ORDERS = 20  # below which one of them is a large share anyway

# What a test promises: the chance to see an effect that is there, and one that is not.
TEST_POWER, TEST_LEVEL = 0.8, 0.05
TEST_CONTROL_SHARE = 0.5  # of the customers of a test, held out
