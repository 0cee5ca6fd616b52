"""minted: credentials of a tenant, made from the master secret or from a studio's own key by the rules of core/wire/minted.h, independent of the server's code."""
import base64
import hashlib
import hmac
import os
import time
import urllib.parse


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
