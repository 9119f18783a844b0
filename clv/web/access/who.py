"""Who makes a request, and the settings by which a server lets them in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request, Response
from starlette.types import Scope

from clv.exports.audit import Audit
from clv.web.access.forms import cookie
from clv.web.access.headers import LOOPBACK, allowed_hosts, check_bind
from clv.web.access.keys import KeyRing
from clv.web.access.limits import Buckets, Rate, SharedBuckets, neighbourhood
from clv.web.access.roles import RULES, Role, Rule
from clv.web.access.sessions import COOKIE, Session, Sessions
from clv.web.access.sign_in import SignIn
from clv.web.problems import ProblemError


@dataclass(frozen=True)
class Visitor:
    """Who makes a request.

    Attributes
    ----------
    name, role
        Of the key; "local" and ADMIN where no keys are set.
    csrf
        What a form must carry as its field ``csrf``; empty where none is asked for.
    session
        The page session, if it is one.
    nonce
        What ``csrf`` is bound to, where one is asked for.
    """

    name: str
    role: Role
    csrf: str = ""
    session: Session | None = None
    nonce: str = ""


LOCAL = Visitor("local", Role.ADMIN)


@dataclass
class Access:
    """Who may see what on a server; ``Access.on`` makes it from what an operator says.

    Attributes
    ----------
    keys
        Who comes with a key. Without keys and ``sign_in`` everybody may do everything, which is for
        loopback alone; see ``check_bind``.
    sign_in
        Who comes through a sign-in proxy, and from where; None: headers say nothing.
    hosts
        The names, in small letters, that requests may be for; see ``allowed_hosts``.
    rules
        The least role for each route.
    audit
        Where logins and plans are written down.
    rate, rate_unknown
        Limits per key, and of wrong keys per address: those never keep out the right key. There is
        no limit without keys.
    sessions
        Page sessions.
    login_page, error_page
        How a page with a look of its own shows the login form and refusals to people:
        ``login_page(request, token, wrong=, to=, status=)`` with a form that posts ``key``,
        ``csrf`` and ``next`` to /login, and ``error_page(request, status, detail)``.
    """

    keys: KeyRing | None = None
    hosts: frozenset[str] = frozenset(LOOPBACK)
    rules: tuple[Rule, ...] = RULES
    audit: Audit = field(default_factory=Audit)
    rate: Rate = Rate(per_second=5_000, burst=10_000)  # noqa: RUF009 - frozen
    rate_unknown: Rate = Rate(per_second=1, burst=30)  # noqa: RUF009 - frozen
    sessions: Sessions = field(default_factory=Sessions)
    login_page: Callable[..., Response] | None = None
    error_page: Callable[..., Response] | None = None
    sign_in: SignIn | None = None

    def __post_init__(self) -> None:
        self._known: Buckets | SharedBuckets = Buckets(self.rate)
        self._unknown: Buckets | SharedBuckets = Buckets(self.rate_unknown)

    @classmethod
    def on(
        cls,
        host: str,
        *,
        keys: str | os.PathLike[str] | None = None,
        audit: str | os.PathLike[str] | None = None,
        hosts: Iterable[str] = (),
        sign_in: str | os.PathLike[str] | None = None,
    ) -> Access:
        """The access to a server that listens on ``host``.

        Parameters
        ----------
        keys, audit
            The key file, without which only this machine may be listened to, and the audit file.
        hosts
            More names that requests may be for, as a reverse proxy has them.
        sign_in
            The settings of a sign-in proxy, a TOML file; see ``sign_in.py``.

        Raises
        ------
        InputError
            Others could reach the address and there are neither keys nor a sign-in; a file cannot
            be used; the audit cannot be written; or a name is none.
        """
        through = None if sign_in is None else SignIn.read(sign_in)
        check_bind(host, keys=keys is not None or through is not None)
        names, audit_file = allowed_hosts(host, hosts), Audit(audit)
        if keys is None:
            return cls(hosts=names, audit=audit_file, sign_in=through)
        ring, sessions = KeyRing(keys), Sessions.beside(keys)
        return cls(ring, names, audit=audit_file, sessions=sessions, sign_in=through)

    def share(self, folder: Path) -> None:
        """Count requests, and keep sessions, with all other processes that name this folder."""
        self._known = SharedBuckets(self.rate, folder / "known")
        self._unknown = SharedBuckets(self.rate_unknown, folder / "unknown")
        if self.sessions.file is None:  # nothing can be written beside the key file
            # a folder of its own: the workspace is locked by whoever made it
            self.sessions = Sessions.beside(folder / "ended" / "keys")

    @property
    def open(self) -> bool:
        """Whether everybody may do everything."""
        return self.keys is None and self.sign_in is None

    def identify(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Visitor | None:
        """Who makes a request: by the sign-in proxy, a key or a session; None if nobody known.

        A wrong key is not made up for by a session.

        Raises
        ------
        ProblemError
            It has the headers of a sign-in that is not believed, or whose user has no role.
        """
        if self.open:
            return LOCAL
        if self.sign_in is not None and (signed := self.sign_in.names(scope)) is not None:
            user, role = signed
            nonce = f"sign-in {user!a}"
            return Visitor(user, role, self.sessions.token(nonce), nonce=nonce)
        if self.keys is None:
            return None
        token = sent_key(headers)
        if token is not None:
            key = self.keys.find(token)
            return None if key is None else Visitor(key.name, key.role)
        session = self.sessions.read(cookie(headers, COOKIE))
        if session is None:
            return None
        key = self.keys.named(session.name, session.digest)  # its role as it is now
        token = self.sessions.token(session.nonce)
        if key is None:
            return None
        return Visitor(key.name, key.role, token, session, session.nonce)

    def wait(self, who: Visitor | None, scope: Scope) -> int:
        """0, or the seconds after which somebody may ask again; None is whoever had no right key.

        Wrong keys count by the address that the connection comes from, or that a proxy names which
        the operator has named, see ``clv serve --proxy``.
        """
        if self.open:
            return 0
        now = time.monotonic()
        if who is None:
            return self._unknown.wait(neighbourhood((scope.get("client") or ("",))[0]), now)
        return self._known.wait(who.name, now)


def visitor(request: Request) -> Visitor:
    """Who makes a request: a dependency for routes and pages."""
    who: Visitor | None = request.scope.get("clv.visitor")
    if who is None:  # an open route
        raise ProblemError(401, "no-key", "Send a key.")
    return who


def sent_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that was sent; an empty one is one, and wrong."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    key = headers.get(b"x-api-key")
    return None if key is None else key.decode("latin-1")
