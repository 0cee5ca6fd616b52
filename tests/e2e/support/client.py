"""client: a TURN client of our own over UDP, TCP or TLS, to ask the server what a well-behaved client never would.

A Client is one 5-tuple. Responses are matched by transaction id; what peers sent is kept in `inbox` as (peer, data), where the peer is an
address or a channel number; what their networks said in `errors` as (peer, ICMP's type, code, data); who wants to connect in `attempts` as
(peer, connection id).
"""
import socket
import ssl
import struct
import time

from support import stun

ANSWER_S = 3.0
REPEAT_S = 0.5


class NoAnswer(AssertionError):
    """The server did not answer, or closed the connection."""


class Client:
    def __init__(self, server, transport="udp", username="ann", password="secret", port=None, local=None, sni="localhost", alpn=(),
                 origin=None, software=None, mark=0):
        self.transport, self.username, self.password, self.alpn = transport, username, password, list(alpn)
        self.hints = [(kind, text.encode()) for kind, text in ((stun.ORIGIN, origin), (stun.SOFTWARE, software)) if text]
        self.server = (server.host, port or (server.tls_port if transport == "tls" else server.port))
        self.realm = self.nonce = self.key = None
        self.inbox, self.errors, self.attempts, self.answers, self.stream = [], [], [], [], b""
        self.mark = mark
        self.socket = self.connect(server, local, sni)
        self.local = self.socket.getsockname()[:2]

    def connect(self, server, local, sni):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM)
        plain.bind(local or (server.host, 0))
        plain.settimeout(ANSWER_S)
        set_mark(plain, self.mark)
        plain.connect(self.server)
        if self.transport != "tls":
            return plain
        context = ssl.create_default_context(cafile=server.certificate)
        context.check_hostname = False
        if self.alpn:
            context.set_alpn_protocols(self.alpn)
        return context.wrap_socket(plain, server_hostname=sni)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # -- bytes

    def send(self, data):
        self.socket.send(data) if self.transport == "udp" else self.socket.sendall(data)

    def receive(self, limit_s):
        """One message or ChannelData frame as bytes; None if none came in time."""
        deadline = time.monotonic() + limit_s
        while True:
            if frame := self._frame():
                return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                return None
            except ConnectionError as error:
                raise NoAnswer(f"the server refused: {error}") from None
            if self.transport == "udp":
                return data
            if not data:
                raise NoAnswer("the server closed the connection")
            self.stream += data

    def _frame(self):
        """Cuts one frame off the stream; ChannelData there is padded to four bytes (RFC 8656 section 12.5)."""
        if len(self.stream) < 4:
            return None
        length, = struct.unpack("!H", self.stream[2:4])
        whole = 4 + length + -length % 4 if self.stream[0] & 0xC0 else 20 + length
        if len(self.stream) < whole:
            return None
        frame, self.stream = self.stream[:whole], self.stream[whole:]
        return frame

    def is_closed(self, limit_s=5.0):
        """Whether the server closes the connection within the limit."""
        try:
            deadline = time.monotonic() + limit_s
            while time.monotonic() < deadline:
                self.receive(0.1)
            return False
        except NoAnswer:
            return True

    # -- messages

    def poll(self, limit_s=0.0):
        """Takes in what came: data into `inbox`, responses into `answers`. Says whether anything did."""
        frame = self.receive(limit_s)
        if frame is None:
            return False
        if frame[0] & 0xC0:
            number, length = struct.unpack("!HH", frame[:4])
            if any(frame[4 + length:]):
                raise ValueError("the padding of ChannelData is not zero")
            self.inbox.append((number, frame[4:4 + length]))
            return True
        message = stun.Message(frame)
        if message.kind == stun.INDICATION and message.icmp:
            self.errors.append((message.address(stun.XOR_PEER_ADDRESS), *message.icmp))
        elif message.method == stun.CONNECTION_ATTEMPT:
            self.attempts.append((message.address(stun.XOR_PEER_ADDRESS), message.get(stun.CONNECTION_ID)))
        elif message.kind == stun.INDICATION:
            self.inbox.append((message.address(stun.XOR_PEER_ADDRESS), message.get(stun.DATA_ATTR)))
        else:
            self.answers.append(message)
        return True

    def answer(self, tid, limit_s=ANSWER_S):
        """The response to a transaction; None if it does not come."""
        deadline = time.monotonic() + limit_s
        while True:
            for message in self.answers:
                if message.tid == tid:
                    self.answers.remove(message)
                    return message
            left = deadline - time.monotonic()
            if left <= 0 or not self.poll(left) and time.monotonic() >= deadline:
                return None

    def transact(self, data):
        """Sends ready bytes, again every half second over UDP, and returns the response."""
        tid = data[8:20]
        for _ in range(int(ANSWER_S / REPEAT_S)):
            self.send(data)
            if message := self.answer(tid, REPEAT_S if self.transport == "udp" else ANSWER_S):
                return message
            if self.transport != "udp":
                break
        raise NoAnswer(f"no answer to {data[:20].hex()}")

    def signed(self, method, attributes=(), username=None, password=None, realm=None, nonce=None, tid=None, fingerprint=False, behind=()):
        """A request with the long-term credential; `behind` are attributes put behind the integrity, where nobody may look."""
        username = self.username if username is None else username
        realm = self.realm if realm is None else realm
        key = self.key_for(username, realm, self.password if password is None else password)
        message = stun.build(method, [*attributes, *self.hints, (stun.USERNAME, username.encode()), (stun.REALM, realm.encode()),
                                      (stun.NONCE, (self.nonce if nonce is None else nonce).encode())], tid=tid)
        message = stun.with_integrity(message, key)
        for item in behind:
            message += item(message[8:20]) if callable(item) else stun.attribute(*item)
        message = stun.with_length(message)
        return stun.with_fingerprint(message) if fingerprint else message

    @staticmethod
    def key_for(username, realm, password):
        return password if isinstance(password, bytes) else stun.key_of(username, realm, password)

    def learn(self, message):
        """Keeps the realm and nonce of a challenge."""
        self.realm = message.text(stun.REALM) or self.realm
        self.nonce = message.text(stun.NONCE) or self.nonce

    def challenge(self):
        """Asks without credentials, to be told the realm and a nonce."""
        message = self.transact(stun.build(stun.ALLOCATE, [transport(stun.UDP), *self.hints]))
        self.learn(message)
        return message

    def request(self, method, attributes=(), **how):
        """A signed request; asks for a challenge first, and follows one 438 with the new nonce."""
        if self.nonce is None:
            self.challenge()
        message = self.transact(self.signed(method, attributes, **how))
        if message.code == 438 and "nonce" not in how:
            self.learn(message)
            message = self.transact(self.signed(method, attributes, **how))
        if message.kind == stun.SUCCESS:
            key = self.key_for(how.get("username") or self.username, self.realm, how.get("password") or self.password)
            if not message.has_integrity(key):
                raise ValueError("a success response without a good MESSAGE-INTEGRITY")
        return message

    # -- TURN

    def binding(self):
        return self.transact(stun.build(stun.BINDING))

    def allocate(self, *more, lifetime=None, protocol=stun.UDP, **how):
        attributes = [transport(protocol), *more]
        if lifetime is not None:
            attributes.append(number(stun.LIFETIME, lifetime))
        return self.request(stun.ALLOCATE, attributes, **how)

    def refresh(self, lifetime=None, *more, **how):
        return self.request(stun.REFRESH, [*([] if lifetime is None else [number(stun.LIFETIME, lifetime)]), *more], **how)

    def permit(self, *peers, **how):
        return self.request(stun.CREATE_PERMISSION, [stun.peer(host, port) for host, port in peers], **how)

    def bind(self, channel, peer, **how):
        return self.request(stun.CHANNEL_BIND, [(stun.CHANNEL_NUMBER, struct.pack("!HH", channel, 0)), stun.peer(*peer)], **how)

    def connect_peer(self, peer, **how):
        return self.request(stun.CONNECT, [stun.peer(*peer)], **how)

    def attempt(self, limit_s=ANSWER_S):
        """The next (peer, connection id) of a ConnectionAttempt, or None."""
        deadline = time.monotonic() + limit_s
        while not self.attempts and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())
        return self.attempts.pop(0) if self.attempts else None

    def data_connection(self, server, connection_id, **how):
        """A second connection of this client, bound; what follows on it are `exchange`d bytes. Shows the nonce of this one."""
        data = Client(server, self.transport, self.username, self.password, **how)
        data.realm, data.nonce = self.realm, self.nonce
        message = data.transact(data.signed(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, connection_id)]))
        if message.kind != stun.SUCCESS:
            raise AssertionError(f"ConnectionBind was answered {message.code}")
        return data

    def send_to(self, peer, data, *more):
        """A Send indication."""
        self.send(stun.build(stun.SEND, [stun.peer(*peer), *more, (stun.DATA_ATTR, data)], stun.INDICATION))

    def send_channel(self, channel, data):
        frame = struct.pack("!HH", channel, len(data)) + data
        self.send(frame if self.transport == "udp" else stun.pad(frame))

    def receive_data(self, limit_s=ANSWER_S):
        """The next (peer, data), or None."""
        deadline = time.monotonic() + limit_s
        while not self.inbox and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())
        return self.inbox.pop(0) if self.inbox else None

    def receive_error(self, limit_s=ANSWER_S):
        """The next (peer, type, code, data), or None."""
        deadline = time.monotonic() + limit_s
        while not self.errors and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())
        return self.errors.pop(0) if self.errors else None

    def relayed(self, *more, **how):
        """Allocates, expects success, and returns the relayed address."""
        message = self.allocate(*more, **how)
        if message.kind != stun.SUCCESS:
            raise AssertionError(f"Allocate was answered {message.code}")
        return message.address(stun.XOR_RELAYED_ADDRESS)


def transport(protocol):
    return stun.REQUESTED_TRANSPORT, bytes([protocol, 0, 0, 0])


def number(kind, value):
    return kind, struct.pack("!I", value)


def family(value):
    return stun.REQUESTED_ADDRESS_FAMILY, bytes([value, 0, 0, 0])


def even_port(reserve):
    return stun.EVEN_PORT, b"\x80" if reserve else b"\0"


def set_mark(sock, value):
    """What `sock` sends from now on has this DSCP and ECN."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value)


class Peer:
    """A UDP peer that the test itself plays."""

    def __init__(self, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.address = self.socket.getsockname()[:2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, limit_s=3.0):
        """The next (data, from), or None."""
        self.socket.settimeout(limit_s)
        try:
            data, source = self.socket.recvfrom(65536)
            return data, source[:2]
        except TimeoutError:
            return None

    def send(self, data, to):
        self.socket.sendto(data, to)
