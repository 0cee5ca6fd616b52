#!/usr/bin/env python3
"""A receiver of relay's webhooks: verifies each event (Standard Webhooks), leaves what it has seen before, prints the rest.

    relay webhook add -c relay.conf https://hooks.example.com/relay     # prints an id and the secret
    WEBHOOK_SECRET=whsec_... examples/webhook.py 8080                   # behind a proxy that has the certificate
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import time

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
LATE_S = 300
seen = set()  # yours is a table with the id as its key, written with what the event causes


def is_genuine(headers, body):
    said, at = headers["webhook-id"], headers["webhook-timestamp"]
    if not said or not at or abs(time.time() - int(at)) > LATE_S:
        return False
    mac = hmac.new(KEY, f"{said}.{at}.".encode() + body, hashlib.sha256).digest()
    good = "v1," + base64.b64encode(mac).decode()
    return any(hmac.compare_digest(good, one) for one in headers["webhook-signature"].split())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        genuine = is_genuine(self.headers, body)
        if genuine and self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event["tenant"], json.dumps(event["data"]), flush=True)
        self.send_response(204 if genuine else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
