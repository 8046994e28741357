"""The SFTP door: sessions of the agencies in, whole files into the spool."""

from server.sftp.door import Door
from server.sftp.gate import Account, Gate, Intake
from server.sftp.selftest import self_test

__all__ = ["Account", "Door", "Gate", "Intake", "self_test"]
