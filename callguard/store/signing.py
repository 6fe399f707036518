"""The key that signs bundles: Ed25519, made on first use, readable by its owner alone."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from callguard.model.errors import SettingsError
from callguard.store.keyring import secret_file


def signing_key(keys: Path) -> Ed25519PrivateKey:
    """The store's signing key. Raises SettingsError where the file is none."""
    path = keys / "signing.pem"
    pem = secret_file(path, _made)
    try:
        key: object = serialization.load_pem_private_key(pem, password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("not an Ed25519 key", where=str(path), code="key-file-wrong")
    return key


def public_pem(keys: Path) -> str:
    """The public half, as people hand it on."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return signing_key(keys).public_key().public_bytes(encoding, form).decode()


def _made() -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Ed25519PrivateKey.generate().private_bytes(encoding, form, serialization.NoEncryption())
