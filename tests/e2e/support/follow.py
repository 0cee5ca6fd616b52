"""follow: a reader of GET /v1/events."""
import json
import socket
import urllib.parse

from support.tap import check


class Follower:
    """with Follower(server, type="allocation") as events: events.next("allocation.opened"). Events are dictionaries with `id` (of the stream) as "at"."""

    def __init__(self, server, last=None, limit_s=5.0, path="/v1/events", key=None, port=None, **query):
        self.socket = socket.socket(socket.AF_INET if port else socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(limit_s)
        self.socket.connect((server.host, port) if port else server.path("door"))
        path += "?" + urllib.parse.urlencode(query) if query else ""
        lines = [f"GET {path} HTTP/1.1", "Host: relay", *([f"Last-Event-ID: {last}"] if last else ()), *([f"Authorization: Bearer {key}"] if key else ()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = dict(line.decode().rstrip().lower().split(": ", 1) for line in iter(self.file.readline, b"\r\n"))
        self.text, self.ended = b"", None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def chunk(self):
        """One more piece; false: it has ended; whole or not says `ended`."""
        size = int(self.file.readline() or b"-1", 16)
        data = self.file.read(size + 2) if size >= 0 else b""
        if size <= 0 or len(data) < size + 2:
            self.ended = "whole" if size == 0 else "cut"
            return False
        self.text += data[:-2]
        return True

    def body(self):
        return self.file.read(int(self.headers["content-length"])).decode()

    def block(self):
        """The lines of one event or comment; None: it has ended."""
        while b"\n\n" not in self.text:
            if not self.chunk():
                return None
        block, self.text = self.text.split(b"\n\n", 1)
        return block.decode().split("\n")

    def next(self, name=None):
        """The next event, of that name if one is said; None: it has ended."""
        while (lines := self.block()) is not None:
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if fields and name in (None, fields["event"]):
                event = json.loads(fields["data"])
                check(event["type"] == fields["event"], f"{fields}")
                return {**event, "at": fields.get("id")}
        return None
