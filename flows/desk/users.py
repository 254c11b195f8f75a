"""Users of the desk, from the table ``[users]``: of passwords it keeps hashes, of sessions nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stenoflow.flows.desk.visitor import Role, Visitor
from stenoflow.tasks.settings import UserSettings

SESSION_S = 30 * 24 * 3600
_SCHEME = "scrypt"
# 16 MB, and some 50 ms: a login is rare, a guess is to be dear.
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 1
# Checked in place of a user's who is not there, so that the time tells nothing.
_NOBODY = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def hash_password(password: str) -> str:
    """Return what stands in the settings for a password."""
    salt = secrets.token_bytes(16)
    return _written(salt, _scrypt(password, salt, _COST, _BLOCK, _PARALLEL))


def is_password(password: str, written: str) -> bool:
    """Tell whether a password is that of a hash; False for what is no hash."""
    try:
        scheme, cost, block, parallel, salt, digest = written.split("$")
        found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
        return scheme == _SCHEME and hmac.compare_digest(found, base64.b64decode(digest))
    except (ValueError, MemoryError):
        return False


@dataclass(frozen=True, slots=True)
class Users:
    """Those who may log in beside whoever has the desk's own password.

    Attributes:
        settings: by name.
        derived: makes a secret of this desk for a purpose.
        clock: seconds since 1970.
    """

    settings: Mapping[str, UserSettings]
    derived: Callable[[str], str]
    clock: Callable[[], float] = time.time

    def accepts(self, name: str, password: str) -> bool:
        """Tell whether that is a user's password."""
        user = self.settings.get(name)
        written = _NOBODY if user is None else user.password.get_secret_value()
        return is_password(password, written) and user is not None

    def session(self, name: str) -> str:
        """Return a user's cookie; it holds for 30 days, or until their password changes."""
        return self._signed(name, int(self.clock()) + SESSION_S)

    def visitor(self, cookie: str) -> Visitor | None:
        """Return whose cookie that is; None: nobody's, or it holds no more."""
        written, _, rest = cookie.partition(".")
        expires, _, _ = rest.partition(".")
        try:
            name = base64.urlsafe_b64decode(written).decode()
        except ValueError:
            return None
        user = self.settings.get(name)
        if user is None or not expires.isdecimal() or len(expires) > 12 or int(expires) < self.clock():
            return None
        if not hmac.compare_digest(cookie.encode(), self._signed(name, int(expires)).encode()):
            return None
        return Visitor(name, Role[user.role.upper()], self.derived(f"csrf {name}"))

    def _signed(self, name: str, expires: int) -> str:
        password = self.settings[name].password.get_secret_value()
        proof = self.derived(f"session {expires} {password} {name}")
        return f"{base64.urlsafe_b64encode(name.encode()).decode()}.{expires}.{proof}"


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 256 * cost * block
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=32)


def _written(salt: bytes, digest: bytes) -> str:
    parts = (base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
    return "$".join((_SCHEME, str(_COST), str(_BLOCK), str(_PARALLEL), *parts))
