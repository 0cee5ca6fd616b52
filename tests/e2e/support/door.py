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


def call(connection, method, path, body=None, key=None, headers=()):
    """(status, body as JSON or None, headers) of one request on an open connection; `body` is bytes or what becomes JSON; `key`: of the Bearer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, {**dict(headers), **({"Authorization": f"Bearer {key}"} if key is not None else {})})
    answer = connection.getresponse()
    text = answer.read()
    is_json = answer.headers.get("Content-Type", "").startswith("application/json") and text
    return answer.status, json.loads(text) if is_json else None, answer.headers


def ask_json(server, path, method="GET", **query):
    """(status, body)"""
    status, text, _ = ask(server, path, method, **query)
    return status, json.loads(text)


def tell(server, method, path, body=None, **query):
    """(status, body) of one question with a body: bytes as they are, anything else as JSON."""
    connection = Connection(server.path("door"))
    try:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def make_key(server, tenant, scope="admin"):
    """A new key of a tenant of relay.db, made by the command line."""
    return server.relay("key", "add", "--userdb", "relay.db", "--tenant", tenant, "--scope", scope).strip()


def call_once(server, method, path, key, body=None):
    """(status, body) of one question with a key."""
    connection = Connection(server.path("door"))
    try:
        return call(connection, method, path, body, key)[:2]
    finally:
        connection.close()
