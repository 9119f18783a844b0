"""Page sessions: a key is exchanged for a signed cookie, and forms carry a token bound to it.

The cookie names the key by its digest, so that a session ends when its key is revoked. The secret
it is signed with is kept beside the key file, with the sessions that were ended before their time:
so a restart neither logs anybody out nor brings back who logged out. Without a key file, or where
nothing can be written beside it, both live as long as the process. Several processes on one key
file honour each other's sessions, and none that one of them has ended.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from itsdangerous import BadData, Signer, URLSafeSerializer

from clv.errors import InputError
from clv.io.changes import locked, replacing
from clv.web.access.keys import Key

LIFETIME = 8 * 3600  # seconds: a working day
COOKIE, FORM_COOKIE = "clv_session", "clv_form"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """Somebody who logged in: name and digest of the key, when it ends, and its own number."""

    name: str
    digest: str
    ends: float
    nonce: str


@dataclass
class Sessions:
    """Gives out sessions and reads them back; ``Sessions.beside`` makes them outlive the process.

    >>> from clv.web.access.roles import Role
    >>> sessions = Sessions()
    >>> cookie = sessions.begin(Key("ann", Role.VIEWER, "0" * 64, "2024-01-01"))
    >>> sessions.read(cookie).name, sessions.read(cookie + "x")
    ('ann', None)
    """

    lifetime: float = LIFETIME
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    file: Path | None = None
    _ended: dict[str, float] = field(default_factory=dict, repr=False)
    _signature: tuple[int, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        # 48 bytes are 64 characters of Base64 without a spare bit: nothing else reads the same
        digest = hashlib.sha384
        options = {"digest_method": digest}
        self._cookies = URLSafeSerializer(self.secret, "session", signer_kwargs=options)
        self._forms = Signer(self.secret, "form", digest_method=digest)

    @classmethod
    def beside(cls, keys: str | os.PathLike[str]) -> Sessions:
        """The sessions of a key file, kept in FILE.sessions, which is made if it is not there.

        Raises
        ------
        InputError
            Others may read or write that file, or it is none.
        """
        file = Path(f"{os.fspath(keys)}.sessions")
        try:
            with locked(file.resolve().parent):  # several servers may start at once
                if not file.exists():
                    sessions = cls(file=file)
                    sessions._write()
                    return sessions
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise InputError(
                    f"others may read {file}, and so log in as anybody.",
                    hint=f"remove it: everybody will have to log in again, and chmod 600 {keys}.",
                )
            saved = json.loads(file.read_text(encoding="utf-8"))
            return cls(secret=bytes.fromhex(saved["secret"]), file=file, _ended=saved["ended"])
        except OSError as error:
            log.warning("sessions end with this process: %s: %s", file, error.strerror)
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{file} does not hold sessions.",
                hint="remove it: everybody will have to log in again.",
            ) from error

    def begin(self, key: Key) -> str:
        """The cookie of a new session."""
        nonce, ends = secrets.token_urlsafe(16), time.time() + self.lifetime
        return str(self._cookies.dumps([key.name, key.digest, ends, nonce]))

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it was forged, is over or was ended."""
        try:
            session = Session(*self._cookies.loads(cookie)) if cookie.isascii() else None
        except (BadData, TypeError):  # a TypeError: of a version that signed something else
            return None
        if session is None or session.ends <= time.time():
            return None
        self._look()
        return None if session.nonce in self._ended else session

    def end(self, session: Session) -> None:
        """Take a session back before its time."""
        now = time.time()
        self._ended = {nonce: ends for nonce, ends in self._ended.items() if ends > now}
        self._ended[session.nonce] = session.ends
        try:
            if self.file is not None:
                with locked(self.file.resolve().parent):
                    self._look()  # what other processes ended stays ended
                    self._write()
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("a session ended for this process alone: %s", error)

    def token(self, nonce: str) -> str:
        """What a form has to carry: of a session, or of the login form by its cookie."""
        return self._forms.get_signature(nonce).decode()

    def holds(self, nonce: str, token: str) -> bool:
        """Whether ``token`` is that of ``nonce``."""
        return (nonce + token).isascii() and self._forms.verify_signature(nonce, token)

    def _look(self) -> None:
        """Learn what other processes have ended since."""
        if self.file is None:
            return
        try:
            status = self.file.stat()
            signature = (status.st_ino, status.st_mtime_ns, status.st_size)
            if signature != self._signature:
                self._ended |= json.loads(self.file.read_text("utf-8"))["ended"]
                self._signature = signature
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("sessions that others ended are not known: %s", error)

    def _write(self) -> None:
        if self.file is not None:
            state = {"secret": self.secret.hex(), "ended": self._ended}
            with replacing(self.file, private=True) as beside:
                beside.write_text(json.dumps(state) + "\n", encoding="utf-8")
