"""nameserver: a DNS server for policies that ask: counting, slow, mute, and over TCP for what does not fit."""
import socket
import struct
import threading

from support.server import free_port

TYPES = {"A": 1, "CNAME": 5, "TXT": 16, "AAAA": 28, "SRV": 33}


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def data_of(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "TXT":
        text = value.encode()
        return b"".join(bytes([len(part)]) + part for part in (text[at:at + 255] for at in range(0, len(text), 255)))
    if kind == "SRV":
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + wire_name(target)
    return wire_name(value)


class NameServer:
    """with NameServer({("A", "game.example"): ["192.0.2.1"]}) as names: ...

    A value is a list, of what `data_of` takes, or of (type, value) for another one than is asked for. What is not there is NXDOMAIN. `ttl_s`: of all;
    `mute`: names that nobody answers; `refused`: answers REFUSED to all; `overflowed`: somebody came over TCP; `asked`: [(type, name)].
    """

    def __init__(self, records, ttl_s=60):
        self.records, self.ttl_s, self.mute, self.refused, self.overflowed, self.asked = records, ttl_s, set(), False, False, []
        self.port = free_port()

    def __enter__(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self.udp, self.tcp):
            one.bind(("127.0.0.1", self.port))
            one.settimeout(0.1)
        self.tcp.listen()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()

    def serve_udp(self):
        while not self.over.is_set():
            try:
                question, client = self.udp.recvfrom(4096)
            except TimeoutError:
                continue
            answer = self.answer(question)
            if answer and len(answer) > 512:
                answer = answer[:2] + struct.pack("!H", 0x8380) + question[4:6] + bytes(6) + question[12:]
            if answer:
                self.udp.sendto(answer, client)

    def serve_tcp(self):
        while not self.over.is_set():
            try:
                client, _ = self.tcp.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(1)
                length = struct.unpack("!H", client.recv(2))[0]
                answer = self.answer(client.recv(length))
                self.overflowed = True
                client.sendall(struct.pack("!H", len(answer)) + answer)

    def answer(self, question):
        """None: it is kept waiting."""
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, number = ".".join(labels), struct.unpack("!H", question[at + 1:at + 3])[0]
        kind = {value: key for key, value in TYPES.items()}.get(number, number)
        self.asked.append((kind, name))
        if name in self.mute:
            return None
        records = self.records.get((kind, name), [])
        code = 5 if self.refused else 0 if records else 3
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, 0 if self.refused else len(records), 0, 0)
        body = b""
        for record in [] if self.refused else records:
            own, value = record if isinstance(record, tuple) and record[0] in TYPES else (kind, record)
            data = data_of(own, value)
            body += struct.pack("!HHHIH", 0xC00C, TYPES[own], 1, self.ttl_s, len(data)) + data
        return head + question[12:at + 5] + body
