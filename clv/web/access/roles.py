"""Roles, and the least of them that a route takes. What the table does not name takes the most."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from clv.errors import InputError


class Role(IntEnum):
    """What somebody may do; each role may do what those below it may.

    >>> Role.PLANNER > Role.VIEWER
    True
    """

    VIEWER = 1  # look at numbers, score
    PLANNER = 2  # plan campaigns and budgets, export customers
    ADMIN = 3  # everything

    @classmethod
    def parse(cls, name: str) -> Role:
        """The role that ``name`` says, in any case; ``InputError`` for any other."""
        try:
            return cls[name.strip().upper()]
        except KeyError as error:
            raise InputError(
                f"{name!r} is not a role.", hint="use viewer, planner or admin."
            ) from error

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Rule:
    """Requests by method and path, and who may make them.

    Attributes
    ----------
    methods
        In capitals; "*" for any. HEAD counts as GET.
    path
        A path, or what paths begin with if it ends in "*".
    least
        The least role; None lets in everybody.
    """

    methods: tuple[str, ...]
    path: str
    least: Role | None

    def holds(self, method: str, path: str) -> bool:
        """Whether it is a rule for this request."""
        if self.methods != ("*",) and method not in self.methods:
            return False
        start = self.path.removesuffix("*")
        return path.startswith(start) if start != self.path else path == start


READ, ANY = ("GET",), ("*",)

# The first rule that holds decides; a new route that reads needs none, any other must be named.
RULES = (
    Rule(READ, "/v1/health", None),
    Rule(("GET", "POST"), "/login", None),
    Rule(READ, "/static/*", None),  # the looks of the login form; no data
    Rule(("POST",), "/logout", Role.VIEWER),
    Rule(("POST",), "/v1/score", Role.VIEWER),
    Rule(("POST",), "/v1/channels", Role.VIEWER),  # works out what is sent; no plan
    Rule(ANY, "/mcp", Role.VIEWER),  # each tool asks a route, which has a rule of its own
    Rule(ANY, "/v1/allocate*", Role.PLANNER),
    Rule(ANY, "/v1/export*", Role.PLANNER),
    Rule(ANY, "/v1/retention*", Role.PLANNER),
    Rule(ANY, "/export*", Role.PLANNER),
    Rule(("POST",), "/customers/export", Role.PLANNER),
    Rule(("POST",), "/customers/segments*", Role.PLANNER),
    Rule(ANY, "/retention*", Role.PLANNER),
    Rule(ANY, "/budget*", Role.PLANNER),
    Rule(ANY, "/jobs*", Role.ADMIN),  # what is uploaded holds customers, and replaces the page
    Rule(READ, "/theme", None),
    Rule(READ, "/favicon.ico", None),
    Rule(READ, "/*", Role.VIEWER),
    Rule(ANY, "/*", Role.ADMIN),
)


def least_role(method: str, path: str, rules: tuple[Rule, ...] = RULES) -> Role | None:
    """The least role that may make a request; None if everybody may.

    >>> print(least_role("POST", "/v1/allocate"))
    planner
    >>> least_role("GET", "/v1/health") is None
    True
    >>> print(least_role("DELETE", "/v1/score"))
    admin
    """
    method = "GET" if method == "HEAD" else method
    return next((rule.least for rule in rules if rule.holds(method, path)), Role.ADMIN)
