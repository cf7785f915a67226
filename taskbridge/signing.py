"""Signed messages: what a worker runs was enqueued by somebody who has the key.

Whoever can write to a broker can enqueue any registered task. With signing keys each message carries an HMAC-SHA-256
over all that decides what runs, and a worker refuses a message without a good one before it reads its arguments. The
first key signs and every key is accepted: to rotate, put the new key first, and drop the old one when no message that
it signed is left. A message that is sent again as it was keeps a good signature: its id and `expires` bound that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import msgspec

from taskbridge.errors import ConfigurationError, UndecodableMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskbridge.message import Headers, Message

SHORTEST_SECRET: Final = 32
"""Characters. `python -c "import secrets; print(secrets.token_urlsafe(32))"` makes 43."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Named secrets; the first signs."""

    secrets: tuple[tuple[str, str], ...]
    accepts_unsigned: bool = False
    """True while the keys are being introduced: messages without any signature still run."""

    @classmethod
    def of(cls, keys: Sequence[str], /, *, accepts_unsigned: bool, origin: str) -> Self | None:
        """From `name:secret` strings; None if there are none.

        Raises:
            ConfigurationError: one is not of that form, too short, or a name comes twice. It never shows a secret.
        """
        secrets: dict[str, str] = {}
        for number, key in enumerate(keys, 1):
            name, separator, secret = key.partition(":")
            if not separator or not name.isidentifier():
                raise ConfigurationError(f"{origin}: signing key {number} is not name:secret, as in k1:...")
            if len(secret) < SHORTEST_SECRET:
                raise ConfigurationError(
                    f"{origin}: the secret of the signing key {name!r} is shorter than {SHORTEST_SECRET} characters. "
                    f'Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
                )
            if name in secrets:
                raise ConfigurationError(f"{origin}: two signing keys are called {name!r}.")
            secrets[name] = secret
        return cls(tuple(secrets.items()), accepts_unsigned) if secrets else None

    def sign(self, message: Message, /) -> None:
        """Put the signature into the headers. Whatever it covers must not change afterwards."""
        assert message.headers is not None
        name, secret = self.secrets[0]
        message.headers.signature = f"{name}:{_signature(secret, message, message.headers)}"

    def check(self, message: Message, /) -> None:
        """Raises `UndecodableMessage` unless the message was signed with a key of this ring."""
        headers = message.headers
        if headers is None or not headers.signature:
            if self.accepts_unsigned:
                return
            raise UndecodableMessage(
                f"The job {message.id} is not signed, and this worker has signing keys. Give its producer the key, or "
                f"set unsigned=accept for as long as such jobs are on their way."
            )
        name, _, signature = headers.signature.partition(":")
        secret = dict(self.secrets).get(name)
        if secret is None:
            raise UndecodableMessage(f"The job {message.id} is signed with a key that this worker does not have.")
        from hmac import compare_digest

        if not compare_digest(_signature(secret, message, headers).encode(), signature.encode()):
            raise UndecodableMessage(f"The signature of the job {message.id} is not that of its content.")

    def to_wire(self) -> str:
        """The keys as one string, for the environment of a worker process."""
        return ",".join(f"{name}:{secret}" for name, secret in self.secrets)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(name for name, _ in self.secrets)})"


def _signature(secret: str, message: Message, headers: Headers) -> str:
    import hmac  # with OpenSSL it costs each import of taskbridge 5 ms, and few sign
    import json
    from base64 import urlsafe_b64encode

    # The numbers of attempts and crashes change with retries; the queue, so that no job is moved to a queue with other
    # rights. What has its default is left out, so that a header which only a later version knows breaks no signature
    # before its use.
    covered = msgspec.to_builtins(msgspec.structs.replace(headers, attempt=1, crashes=0, signature=""))
    content = [message.id, message.task, message.queue_name, message.args, message.kwargs, covered]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode().rstrip("=")
