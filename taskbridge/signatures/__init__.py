"""Signatures of tasks: told apart at run time, and compared between versions of the code."""

from taskbridge.signatures.code import code_fingerprint
from taskbridge.signatures.fingerprint import fingerprint_of

__all__ = ["code_fingerprint", "fingerprint_of"]
