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
        return hmac.compare_digest(*_hashes(password, written))
    except (ValueError, MemoryError):
        return False


def is_hash(written: str) -> bool:
    """Tell whether a password can be held against what stands in the settings."""
    try:
        found, digest = _hashes("", written)
    except (ValueError, MemoryError):
        return False
    return len(found) == len(digest)


def _hashes(password: str, written: str) -> tuple[bytes, bytes]:
    """Return the hash of a password, and the one that is written. Raises ValueError for what is none."""
    scheme, cost, block, parallel, salt, digest = written.split("$")
    if scheme != _SCHEME:
        message = f"{scheme} is no way to hash"
        raise ValueError(message)
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return found, base64.b64decode(digest)


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
        written = self._password(name)
        return is_password(password, written or _NOBODY) and written is not None

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
        user = None if self._password(name) is None else self.settings[name]
        if user is None or not expires.isdecimal() or len(expires) > 12 or int(expires) < self.clock():
            return None
        if not hmac.compare_digest(cookie.encode(), self._signed(name, int(expires)).encode()):
            return None
        return self._visitor(name, user)

    def named(self, name: str) -> Visitor | None:
        """Return whom a trusted proxy names; None: nobody of that name may be here."""
        user = self.settings.get(name)
        return None if user is None else self._visitor(name, user)

    def _visitor(self, name: str, user: UserSettings) -> Visitor:
        return Visitor(name, Role[user.role.upper()], self.derived(f"csrf {name}"))

    def _password(self, name: str) -> str | None:
        """Return the hash of a user's password; None where they have none, or there is no such user."""
        user = self.settings.get(name)
        return None if user is None or user.password is None else user.password.get_secret_value()

    def _signed(self, name: str, expires: int) -> str:
        proof = self.derived(f"session {expires} {self._password(name)} {name}")
        return f"{base64.urlsafe_b64encode(name.encode()).decode()}.{expires}.{proof}"


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 256 * cost * block
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=32)


def _written(salt: bytes, digest: bytes) -> str:
    parts = (base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
    return "$".join((_SCHEME, str(_COST), str(_BLOCK), str(_PARALLEL), *parts))
