"""token: access tokens of RFC 7635 as an authorization server would make them, independent of the server's own code."""
import base64
import os
import struct
import time

from support.tap import skip

# what turnutils_uclient -J has built in: kid, Base64, algorithm
COTURN_KEYS = [("north", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK", "A256GCM"), ("union", "MTIzNDU2Nzg5MDEyMzQ1Ngo=", "A128GCM"),
               ("oldempire", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK", "A256GCM")]

KEY_BYTES = {"A128GCM": 16, "A256GCM": 32}


def seal(key, bound, block, nonce=None):
    """nonce_length, nonce and the sealed block, section 6.2."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        skip("python3-cryptography is not installed")
    nonce = nonce or os.urandom(12)
    return struct.pack("!H", len(nonce)) + nonce + AESGCM(key).encrypt(nonce, block, bound.encode())


class Issuer:
    """An authorization server with one key."""

    def __init__(self, kid, algorithm="A256GCM", key=None):
        self.kid, self.algorithm = kid, algorithm
        self.ikm = base64.b64decode(key) if key else os.urandom(KEY_BYTES[algorithm])
        self.key = self.ikm[:KEY_BYTES[algorithm]]

    def give_to(self, server, *more):
        server.relay("oauth", "add", "--userdb", "relay.db", "--algorithm", self.algorithm, *more, self.kid, "--key-stdin",
                     stdin=base64.b64encode(self.ikm).decode() + "\n")

    def issue(self, name, lifetime=600, age=0, mac_key=None):
        """A token for the server of this name, made `age` seconds ago, and the key that comes with it."""
        mac_key = mac_key or os.urandom(20)
        stamp = int((time.time() - age) * 64000)
        block = struct.pack("!H", len(mac_key)) + mac_key + struct.pack("!QI", stamp // 64000 << 16 | stamp % 64000, lifetime)
        return seal(self.key, name, block), mac_key
