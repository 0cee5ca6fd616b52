"""minted: credentials of a tenant, made from the master secret or from a studio's own key by the rules of core/wire/minted.h, independent of the server's code; and a
relay that mints, and how it is asked."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import time
import urllib.parse

from support.door import Connection
from support.server import Server

MASTER = "m" * 40
CREDENTIALS = "/v1/tenants/acme/credentials"


def key_of(master, tenant, kid):
    """K(tenant, kid): what a studio holds that mints by itself."""
    return hmac.new(master.encode(), tenant.encode() + b"\0" + kid.encode(), hashlib.sha256).hexdigest()


def mint_with(key, tenant, kid, tag="", cid="c1", ttl=600, **fields):
    """(username, password) under K; fields are room, bps and n, in the order given."""
    def part(text, safe=""):
        return urllib.parse.quote(str(text), safe=safe)

    username = f"{int(time.time()) + ttl}:t{part(tenant).replace('.', '%2E')}.{part(kid).replace('.', '%2E')}:{part(tag)}:{part(cid)}"
    username += "".join(f":{name}={part(value)}" for name, value in fields.items())
    return username, sign(key, username)


def sign(key, username):
    return base64.b64encode(hmac.new(key.encode(), username.encode(), hashlib.sha1).digest()).decode()


def mint(master, tenant, kid="k1", **how):
    return mint_with(key_of(master, tenant, kid), tenant, kid, **how)


def narrow(path):
    """A file of secrets is for its owner alone."""
    os.chmod(path, 0o600)


def serving(*lines, tenants=(), secrets=(MASTER,), **how):
    """A relay that mints under these masters, with a database of these tenants (name: fields) if there are any."""
    more = ["userdb=relay.db"] if tenants else []
    server = Server("admin-socket=door", "mint-secret-file=mint.secret", *more, *lines, auth=how.pop("auth", []), **how)
    narrow(server.write("mint.secret", "".join(f"{one}\n" for one in secrets)))
    for name, fields in dict(tenants).items():
        server.relay("tenant", "set", "--userdb", "relay.db", name, *fields)
    return server


def post(server, body=None, path=CREDENTIALS, connection=None, **headers):
    """(status, body, headers) of one question; `body` is JSON unless it is bytes."""
    sent = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    with contextlib.closing(Connection(server.path("door"))) if connection is None else contextlib.nullcontext(connection) as door:
        door.request("POST", path, sent, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = door.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers


def enter(server, username, password):
    """The code of an Allocate with this pair."""
    with server.client(username=username, password=password) as client:
        return client.allocate().code
