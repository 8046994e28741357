"""Certificates at the door: asyncssh verifies their signatures, and here is what it does not look at.

asyncssh 2.24.1 checks that the authority signed the certificate, its type, its time, that the user name is among its
principals and the source address in its list, and refuses critical options it does not know. It takes an empty list of
principals for "everybody", a signature with SHA-1 for a good one, and shows neither serial number nor `force-command`
to whoever is asked about the authority; so the connection (`protocol`) keeps the certificate, and all is looked at.
"""

from keys.sshkey import check_certificate, read_certificate
from server.clock import now
from server.services.credential import CertificateProof


def prove(certificate: bytes, username: str, address: str) -> CertificateProof:
    """What the certificate proves, if it is good for that user name and address now.

    Raises `KeysError` invalid or denied, with the reason.
    """
    read = read_certificate(certificate)
    check_certificate(read, username, address, now())
    return CertificateProof(read.authority.fingerprint, read.key.fingerprint, read.serial, read.key_id, read.expires_at)
