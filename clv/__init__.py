"""clv: what is each customer worth, whom to keep, and where to spend.

The public names stand in ``__init__.pyi``; each is imported when first used, so that ``import clv``
is instant.

>>> import clv
>>> clv.Duration.parse("3 years").to("month")
36.0
"""

import sys
from typing import Any

from lazy_loader import attach_stub

__version__ = "0.1.0"

_import, __dir__, __all__ = attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A public name, imported now, whose errors name an argument of a wrong kind."""
    public = _import(name)
    if name in __all__:
        from clv.arguments import named

        public = globals()[name] = named(public)
        setattr(sys.modules[public.__module__], name, public)  # where pickle looks for it
    return public
