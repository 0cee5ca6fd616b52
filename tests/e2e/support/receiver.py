"""receiver: whoever gets webhooks: keeps what it is posted, and looks at the signature."""
import base64
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time

from support.server import free_port
from support.tap import check, check_equal


class Receiver:
    """An HTTP server that keeps what it was posted, and answers with `status`."""

    def __init__(self, port=None, status=204, headers=(), certificate=None):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.letters.append((self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.letters, self.status, self.headers, self.port = [], status, list(headers), port or free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in self.letters]


def check_letter(letter, secret):
    """The letter's event; its signature is right (Standard Webhooks)."""
    _, headers, body = letter
    check(secret.startswith("whsec_"), secret)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()).decode()
    check_equal(headers["webhook-signature"], f"v1,{mac}", "the signature")
    check(abs(time.time() - int(headers["webhook-timestamp"])) < 60, "the time")
    check_equal(headers["content-type"], "application/json", "the media type")
    event = json.loads(body)
    check_equal(event["id"], headers["webhook-id"], "the id of the event")
    return event
