"""Keys of the user-based security model."""

from __future__ import annotations

import pytest

from ingest.snmp.ber import BerError
from ingest.snmp.usm import User, key_of_password, localised

ENGINE = bytes.fromhex("000000000000000000000002")


@pytest.mark.parametrize(
    ("digest", "master", "own"),
    [
        ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        ("sha1", "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f"),
    ],
)
def test_keys_are_those_of_the_examples_of_rfc_3414_a_3(digest: str, master: str, own: str) -> None:
    key = key_of_password(b"maplesyrup", digest)
    assert (key.hex(), localised(key, ENGINE, digest).hex()) == (master, own)


@pytest.mark.parametrize("privacy", ["des", "aes", "aes256", "aes256c"])
def test_what_was_encrypted_is_decrypted(privacy: str) -> None:
    user = User(b"u", "sha", b"maplesyrup", privacy, b"maplesyrup")
    encrypted, salt = user.encrypt(b"scoped PDU", ENGINE, 3, 77)
    assert user.decrypt(encrypted, ENGINE, 3, 77, salt).startswith(b"scoped PDU")


def test_half_a_block_and_a_salt_of_another_length_are_refused() -> None:
    user = User(b"u", "sha", b"maplesyrup", "des", b"maplesyrup")
    for data, salt in ((bytes(9), bytes(8)), (bytes(8), bytes(7))):
        with pytest.raises(BerError):
            user.decrypt(data, ENGINE, 0, 0, salt)
