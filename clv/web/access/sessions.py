"""Page sessions: a key is exchanged for a signed cookie, and forms carry a token bound to it.

The cookie names the key by its digest, so that a session ends when its key is revoked. It is signed
with a secret that lives as long as the process: a restart ends all sessions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field

from clv.web.access.keys import Key

LIFETIME = 8 * 3600  # seconds: a working day
COOKIE, FORM_COOKIE = "clv_session", "clv_form"


@dataclass(frozen=True)
class Session:
    """Somebody who logged in: name and digest of the key, when it ends, and its own number."""

    name: str
    digest: str
    ends: float
    nonce: str


@dataclass
class Sessions:
    """Gives out sessions and reads them back.

    >>> from clv.web.access.roles import Role
    >>> sessions = Sessions()
    >>> cookie = sessions.begin(Key("ann", Role.VIEWER, "0" * 64, "2024-01-01"))
    >>> sessions.read(cookie).name, sessions.read(cookie + "x")
    ('ann', None)
    """

    lifetime: float = LIFETIME
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _ended: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def begin(self, key: Key) -> str:
        """The cookie of a new session."""
        told = [key.name, key.digest, time.time() + self.lifetime, secrets.token_urlsafe(16)]
        payload = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
        return f"{payload}.{self._signature('session', payload)}"

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it was forged, is over or was ended."""
        payload, _, signature = cookie.partition(".")
        if not _same(signature, self._signature("session", payload)):
            return None
        try:
            session = Session(*json.loads(base64.urlsafe_b64decode(payload)))
        except (ValueError, TypeError, binascii.Error):  # signed by us, so it cannot be; to be sure
            return None
        over = session.ends <= time.time() or session.nonce in self._ended
        return None if over else session

    def end(self, session: Session) -> None:
        """Take a session back before its time."""
        now = time.time()
        self._ended = {nonce: ends for nonce, ends in self._ended.items() if ends > now}
        self._ended[session.nonce] = session.ends

    def token(self, nonce: str) -> str:
        """What a form has to carry: of a session, or of the login form by its cookie."""
        return self._signature("form", nonce)

    def holds(self, nonce: str, token: str) -> bool:
        """Whether ``token`` is that of ``nonce``."""
        return _same(token, self.token(nonce))

    def _signature(self, purpose: str, text: str) -> str:
        told = f"{purpose}:{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self.secret, told, hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
