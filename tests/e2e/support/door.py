"""door: HTTP over the unix socket of the admin door."""
import http.client
import json
import socket
import urllib.parse


class Connection(http.client.HTTPConnection):
    def __init__(self, path, limit_s=20.0):
        super().__init__("relay", timeout=limit_s)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(server, path, method="GET", **query):
    """(status, body as text, its media type) of one question to the door of a server that has `admin-socket=door`."""
    connection = Connection(server.path("door"))
    try:
        connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("Content-Type")
    finally:
        connection.close()


def ask_json(server, path, method="GET", **query):
    """(status, body)"""
    status, text, _ = ask(server, path, method, **query)
    return status, json.loads(text)
