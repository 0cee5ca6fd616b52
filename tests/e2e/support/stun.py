"""stun: STUN and TURN messages as bytes, written from the RFCs (8489, 8656, 5780) and independent of the server's own code."""
import base64
import hashlib
import hmac
import ipaddress
import os
import struct
import zlib

MAGIC = 0x2112A442
REQUEST, INDICATION, SUCCESS, ERROR = range(4)
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 10, 11, 12

USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0006, 0x0008, 0x0009, 0x000A
CHANNEL_NUMBER, LIFETIME, XOR_PEER_ADDRESS, DATA_ATTR, REALM, NONCE = 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015
XOR_RELAYED_ADDRESS, REQUESTED_ADDRESS_FAMILY, EVEN_PORT, REQUESTED_TRANSPORT = 0x0016, 0x0017, 0x0018, 0x0019
DONT_FRAGMENT, XOR_MAPPED_ADDRESS, RESERVATION_TOKEN, CONNECTION_ID = 0x001A, 0x0020, 0x0022, 0x002A
ADDITIONAL_ADDRESS_FAMILY, ADDRESS_ERROR_CODE = 0x8000, 0x8001
ALTERNATE_DOMAIN, ALTERNATE_SERVER = 0x8003, 0x8023
ICMP, SOFTWARE, FINGERPRINT, ORIGIN, MOBILITY_TICKET = 0x8004, 0x8022, 0x8028, 0x802F, 0x8030
ACCESS_TOKEN, THIRD_PARTY_AUTHORIZATION = 0x001B, 0x802E
MESSAGE_INTEGRITY_SHA256, PASSWORD_ALGORITHM, USERHASH, PASSWORD_ALGORITHMS = 0x001C, 0x001D, 0x001E, 0x8002
MAPPED_ADDRESS, CHANGE_REQUEST, PADDING, RESPONSE_PORT = 0x0001, 0x0003, 0x0026, 0x0027
RESPONSE_ORIGIN, OTHER_ADDRESS = 0x802B, 0x802C

UDP, TCP = 17, 6
IPV4, IPV6 = 1, 2


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + pad(value)


def type_of(method, kind):
    """RFC 8489 section 5: the two class bits sit between the bits of the method."""
    return method & 0xF | (kind & 1) << 4 | (method & 0x70) << 1 | (kind & 2) << 7 | (method & 0xF80) << 2


def method_and_class(number):
    return number & 0xF | number >> 1 & 0x70 | number >> 2 & 0xF80, number >> 4 & 1 | number >> 7 & 2


def key_of(username, realm, password):
    """The long-term key, RFC 8489 section 9.2.2."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode()).digest()


def key_sha256_of(username, realm, password):
    return hashlib.sha256(f"{username}:{realm}:{password}".encode()).digest()


def userhash_of(username, realm):
    """USERHASH, RFC 8489 section 14.4."""
    return hashlib.sha256(f"{username}:{realm}".encode()).digest()


def rest_credential(secret, expires, user=""):
    """A username and password of the REST form: `expiry:user` and the base64 of its HMAC."""
    username = f"{expires}:{user}" if user else str(expires)
    return username, base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()).decode()


def address(kind, host, port, tid):
    """An XOR-...-ADDRESS attribute."""
    ip = ipaddress.ip_address(host)
    mask = struct.pack("!I", MAGIC) + tid
    packed = bytes(a ^ b for a, b in zip(ip.packed, mask))
    return attribute(kind, struct.pack("!BBH", 0, IPV4 if ip.version == 4 else IPV6, port ^ MAGIC >> 16) + packed)


def read_address(value, tid):
    _, family, port = struct.unpack("!BBH", value[:4])
    mask = struct.pack("!I", MAGIC) + tid
    packed = bytes(a ^ b for a, b in zip(value[4:], mask))
    return str(ipaddress.ip_address(packed[:4] if family == IPV4 else packed[:16])), port ^ MAGIC >> 16


def read_plain_address(value):
    _, family, port = struct.unpack("!BBH", value[:4])
    return str(ipaddress.ip_address(value[4:8] if family == IPV4 else value[4:20])), port


def with_length(message, more=0):
    return message[:2] + struct.pack("!H", len(message) - 20 + more) + message[4:]


def with_integrity(message, key):
    message = with_length(message, 24)
    return message + attribute(MESSAGE_INTEGRITY, hmac.new(key, message, hashlib.sha1).digest())


def with_integrity_sha256(message, key, cut=32):
    """MESSAGE-INTEGRITY-SHA256, cut to its first bytes (RFC 8489 section 14.6)."""
    message = with_length(message, 4 + cut)
    return message + attribute(MESSAGE_INTEGRITY_SHA256, hmac.new(key, message, hashlib.sha256).digest()[:cut])


def with_fingerprint(message):
    message = with_length(message, 8)
    return message + attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(message) ^ 0x5354554E))


def build(method, attributes=(), kind=REQUEST, tid=None):
    """A message without integrity; `attributes` are (type, value), or a function of the transaction id that returns ready bytes."""
    tid = tid or os.urandom(12)
    body = b"".join(item(tid) if callable(item) else attribute(*item) for item in attributes)
    return with_length(struct.pack("!HHI", type_of(method, kind), 0, MAGIC) + tid + body)


def peer(host, port):
    return lambda tid: address(XOR_PEER_ADDRESS, host, port, tid)


class Message:
    """A parsed message. Raises ValueError for anything that is not a well-formed one, padding that is not zero included."""

    def __init__(self, data):
        if len(data) < 20 or data[0] & 0xC0:
            raise ValueError("not STUN")
        number, length, magic = struct.unpack("!HHI", data[:8])
        if magic != MAGIC or length != len(data) - 20:
            raise ValueError(f"bad header {data[:20].hex()}")
        self.data, self.tid = data, data[8:20]
        self.method, self.kind = method_and_class(number)
        self.attributes, self.offsets = [], {}
        at = 20
        while at < len(data):
            kind, size = struct.unpack("!HH", data[at:at + 4])
            value = data[at + 4:at + 4 + size]
            padding = data[at + 4 + size:at + 4 + size + -size % 4]
            if len(value) != size or any(padding):
                raise ValueError(f"attribute {kind:#06x} is cut short or its padding is not zero")
            self.attributes.append((kind, value))
            self.offsets.setdefault(kind, at)
            at += 4 + size + -size % 4

    def get(self, kind):
        return next((value for found, value in self.attributes if found == kind), None)

    def addresses(self, kind):
        return [read_address(value, self.tid) for found, value in self.attributes if found == kind]

    def text(self, kind):
        value = self.get(kind)
        return None if value is None else value.decode()

    def number(self, kind):
        value = self.get(kind)
        return None if value is None else struct.unpack("!I", value)[0]

    def address(self, kind):
        value = self.get(kind)
        return None if value is None else read_address(value, self.tid)

    def plain(self, kind):
        """An address that is not XORed: MAPPED-ADDRESS and those of RFC 5780."""
        value = self.get(kind)
        return None if value is None else read_plain_address(value)

    @property
    def code(self):
        """The ERROR-CODE, or 0."""
        value = self.get(ERROR_CODE)
        return value[2] * 100 + value[3] if value else 0

    @property
    def unknown(self):
        value = self.get(UNKNOWN_ATTRIBUTES) or b""
        return [number for number, in struct.iter_unpack("!H", value)]

    @property
    def icmp(self):
        """Type, code and data of the ICMP attribute, or None; RFC 8656 section 18.13."""
        value = self.get(ICMP)
        if value is None:
            return None
        reserved, both, data = struct.unpack("!HHI", value)
        if reserved:
            raise ValueError("the reserved bits of ICMP are not zero")
        return both >> 9, both & 0x1FF, data

    def has_integrity(self, key):
        at = self.offsets.get(MESSAGE_INTEGRITY)
        if at is None:
            return False
        head = with_length(self.data[:at], 24)
        return hmac.compare_digest(hmac.new(key, head, hashlib.sha1).digest(), self.get(MESSAGE_INTEGRITY))

    def has_integrity_sha256(self, key):
        at = self.offsets.get(MESSAGE_INTEGRITY_SHA256)
        if at is None:
            return False
        head = with_length(self.data[:at], 36)
        return hmac.compare_digest(hmac.new(key, head, hashlib.sha256).digest(), self.get(MESSAGE_INTEGRITY_SHA256))

    def has_fingerprint(self):
        at = self.offsets.get(FINGERPRINT)
        if at is None or at + 8 != len(self.data):
            return False
        return zlib.crc32(self.data[:at]) ^ 0x5354554E == struct.unpack("!I", self.get(FINGERPRINT))[0]
