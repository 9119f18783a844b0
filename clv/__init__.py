"""clv: what is each customer worth, whom to keep, and where to spend.

The public names stand in ``__init__.pyi``; each is imported when first used, so that ``import clv``
is instant.

>>> import clv
>>> clv.Duration.parse("3 years").to("month")
36.0
"""

from lazy_loader import attach_stub

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
