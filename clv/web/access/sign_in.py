"""Who comes through a company's sign-in proxy: user and groups from headers of its requests alone.

The proxy asks who somebody is and says so in headers, which anybody could write. So they are
believed from stated addresses only, by the connection itself and not by what a header says of it,
and a request that brings them from anywhere else is refused, whatever key it has.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from clv.io.settings_errors import settings_of
from clv.io.text_files import parse_toml, read_text
from clv.web.access.roles import Role
from clv.web.problems import ProblemError

HINT = 'see clv serve --help: from = ["127.0.0.1"], and roles by group or user under [roles].'
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,100}")  # a header's name, without underscores
MOST_NAME = 200  # characters of a user
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


def _header(text: str) -> str:
    if not TOKEN.fullmatch(text):
        raise ValueError("should be the name of a header, such as X-Forwarded-Email")
    return text.lower()


def _role(text: str) -> str:
    if text.strip().upper() not in Role.__members__:
        raise ValueError("should be viewer, planner or admin")
    return text


Header = Annotated[str, AfterValidator(_header)]


class SignIn(BaseModel):
    """Whom to believe, in which headers, and which role a group or a user has.

    Attributes
    ----------
    sources
        Addresses or networks of the proxy; ``from`` in the file.
    user, groups
        The headers; groups are separated by commas.
    roles
        By group, or by user as "user:anna@example.com"; the highest that fits counts.
    everyone
        The role of whoever signed in and is not named; empty: none, so they are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    sources: list[Annotated[str, AfterValidator(_network)]] = Field(alias="from", min_length=1)
    user: Header = "x-forwarded-email"
    groups: Header = "x-forwarded-groups"
    roles: dict[str, Annotated[str, AfterValidator(_role)]] = {}
    everyone: Annotated[str, AfterValidator(lambda text: text and _role(text))] = ""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SignIn:
        """The settings in a file; ``InputError`` says what is wrong with them."""
        name = os.fspath(path)
        return settings_of(cls, parse_toml(read_text(path), name, HINT), name, HINT)

    def names(self, scope: Scope) -> tuple[str, Role] | None:
        """User and role that the proxy says, None where the request says nobody.

        Raises
        ------
        ProblemError
            Somebody else than the proxy says it, it is said twice, or the user has no role.
        """
        users, groups = (self._said(scope, name) for name in (self.user, self.groups))
        if not users and not groups:
            return None
        if not self._trusts(scope):
            raise ProblemError(
                403, "sign-in", f"{self.user} and {self.groups} are taken from the proxy alone."
            )
        if len(users) > 1 or len(groups) > 1:
            raise ProblemError(400, "sign-in", "A sign-in header came more than once.")
        user = users[0].strip() if users else ""
        if not user:
            return None
        if len(user) > MOST_NAME or not user.isprintable():
            raise ProblemError(400, "sign-in", "The name of the user is no name.")
        return user, self._role_of(user, groups[0] if groups else "")

    def _said(self, scope: Scope, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in scope["headers"] if key == name.encode()]

    def _trusts(self, scope: Scope) -> bool:
        try:
            address = ipaddress.ip_address((scope.get("clv.peer") or scope["client"])[0])
        except (TypeError, ValueError, IndexError):  # a socket without an address
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in ipaddress.ip_network(source) for source in self.sources)

    def _role_of(self, user: str, groups: str) -> Role:
        in_groups = (group.strip() for group in groups.split(","))
        named = [f"user:{user}", *(name for name in in_groups if not name.startswith("user:"))]
        roles = [Role.parse(self.roles[name]) for name in named if name in self.roles]
        roles += [Role.parse(self.everyone)] if self.everyone else []
        if not roles:
            raise ProblemError(403, "role", f"{user} has no role here; ask whoever runs it.")
        return max(roles)


def with_peer(app: App) -> App:
    """``app`` told the address of the connection, before a header may say that it is another."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["clv.peer"] = scope.get("client")
        await app(scope, receive, send)

    return asked
