"""AWS KMS keeps the key that encrypts our master key: what lies in the data directory opens only with its help.

KMS gives a data key once, in the clear and encrypted (GenerateDataKey); the encrypted form is kept, and KMS decrypts it
at each start (Decrypt). boto3 is imported only here, and only if KMS is used: it comes with the extra `aws`.
"""

from dataclasses import dataclass
from typing import Any

from keys.errors import KeysError
from keys.secret import Secret

CONTEXT = {"application": "dropslot", "purpose": "master key"}
"""Authenticated by KMS: nobody who may decrypt other things with the same key can decrypt this in their name."""
CONNECT, READ, TRIES = 5, 10, 3  # seconds, seconds


@dataclass(frozen=True)
class Kms:
    """A symmetric key of AWS KMS: its id, ARN or `alias/...`; `region` and `endpoint` unless AWS's own say them."""

    key: str
    region: str = ""
    endpoint: str = ""

    def make(self) -> tuple[Secret, bytes]:
        """A new master key, and the encrypted form of it that may lie about. Raises KeysError."""
        answer = self._ask("generate_data_key", KeyId=self.key, KeySpec="AES_256", EncryptionContext=CONTEXT)
        return Secret(answer["Plaintext"]), bytes(answer["CiphertextBlob"])

    def open(self, blob: bytes) -> Secret:
        """The master key of that encrypted form. Raises KeysError."""
        answer = self._ask("decrypt", KeyId=self.key, CiphertextBlob=blob, EncryptionContext=CONTEXT)
        return Secret(answer["Plaintext"])

    def _ask(self, what: str, **values: Any) -> dict[str, Any]:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(client, what)(**values)
        except ClientError as error:
            raise _refusal(str(error.response.get("Error", {}).get("Code", ""))) from None
        except BotoCoreError as error:
            raise _unreachable(type(error).__name__) from None
        return answer

    def _client(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise KeysError(
                "invalid",
                "The master key is to be kept by AWS KMS, but boto3 is not installed.",
                "Install it beside dropslot: pip install 'dropslot[aws]'",
            ) from None
        config = Config(connect_timeout=CONNECT, read_timeout=READ, retries={"max_attempts": TRIES, "mode": "standard"})
        region, endpoint = self.region or self._region() or None, self.endpoint or None
        try:
            return boto3.client("kms", region_name=region, endpoint_url=endpoint, config=config)
        except (BotoCoreError, ValueError) as error:
            raise _unreachable(type(error).__name__) from None

    def _region(self) -> str:
        """The region that an ARN names (arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/...)."""
        parts = self.key.split(":")
        return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def _refusal(code: str) -> KeysError:
    match code:
        case "AccessDeniedException" | "UnrecognizedClientException" | "InvalidSignatureException":
            return KeysError(
                "denied",
                f"AWS KMS does not let us use the key of the master key ({code}).",
                "This machine's role needs kms:GenerateDataKey (the first time) and kms:Decrypt for it.",
            )
        case "NotFoundException":
            return KeysError("not_found", "AWS KMS has no such key.", "Check DROPSLOT_MASTER_KEY_KMS and the region.")
        case "DisabledException" | "KMSInvalidStateException":
            return KeysError("unavailable", "The key in AWS KMS is disabled or to be deleted.", "Enable it again.")
        case "InvalidCiphertextException" | "IncorrectKeyException":
            return KeysError(
                "denied",
                "AWS KMS cannot open keys/master.kms: it belongs to another key, or is damaged.",
                "Set DROPSLOT_MASTER_KEY_KMS as it was, or restore the file from a backup.",
            )
        case "ExpiredTokenException":
            return KeysError("denied", "The credentials for AWS have expired.", "Give this machine new ones.")
    return KeysError("unavailable", f"AWS KMS did not do it ({code or 'no reason given'}).", "It is tried again.")


def _unreachable(name: str) -> KeysError:
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return KeysError("denied", "There are no credentials for AWS KMS.", "Give this machine a role that may use it.")
    if name in ("NoRegionError", "InvalidRegionError", "ValueError"):
        return KeysError(
            "invalid", "The region or the endpoint of AWS KMS is missing or wrong.", "Set DROPSLOT_KMS_REGION."
        )
    return KeysError("unavailable", f"AWS KMS cannot be reached ({name}).", "Check the network to its endpoint.")
