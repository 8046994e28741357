"""A server's secrets: each sealed for its server and its field, so that none can be put where another one belongs."""

from keys.cipher import Cipher
from keys.secret import Secret
from server.remotes.server import SecretField, Server


def seal_secret(cipher: Cipher, server_id: str, field: SecretField, secret: Secret) -> bytes:
    """The secret as it may be stored."""
    return cipher.seal(secret.reveal(), purpose(server_id, field))


def open_secret(cipher: Cipher, server: Server, field: SecretField) -> Secret | None:
    """The secret itself, None if the server has none of that kind. Raises KeysError denied, see `Cipher.open`."""
    sealed = server.sealed.get(field)
    return None if sealed is None else Secret(cipher.open(sealed, purpose(server.id, field)))


def purpose(server_id: str, field: SecretField) -> str:
    """What a sealed secret is bound to."""
    return f"server {server_id} {field.value}"
