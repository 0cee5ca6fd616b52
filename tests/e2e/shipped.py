#!/usr/bin/python3
"""shipped: the policies that ship with the relay, together in one chain of the running server: tokens, countries, maintenance, bans, rows."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time

from support.client import Peer
from support.server import POLICIES, ROOT, Server, need
from support.tap import check, check_equal, main, smoke, test, wait_for

CHAIN = ["maintenance", "anti_abuse", "geofence", "jwt", "rest_secret", "tenants", "quota", "fair_use", "peers", "audit"]
SECRET = b"minted"
TRUSTED = "set=abuse.allow=127.0.0.0/8"     # where a test tries until something has come true


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """A backend that signs tokens with a key of its own (Ed25519)."""

    def __init__(self, directory, name):
        self.key = os.path.join(directory, f"{name}.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key], check=True, capture_output=True)

    def jwks(self):
        public = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": url64(public[-32:])}]})

    def credential(self, **claims):
        """A username, which is the token, and its password."""
        claims = {"aud": "turn", "exp": int(time.time()) + 600, **claims}
        signed = url64(b'{"alg":"EdDSA"}') + "." + url64(json.dumps(claims, separators=(",", ":")).encode())
        with open(self.key + ".in", "w", encoding="ascii") as file:
            file.write(signed)
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", file.name], check=True, capture_output=True).stdout
        token = f"{signed}.{url64(signature)}"
        return {"username": token, "password": base64.b64encode(hmac.new(SECRET, token.encode(), hashlib.sha256).digest()).decode()}


def write_countries(path, country):
    """A MaxMind DB in which this machine is in `country`."""
    need("lua5.4")
    program = f"""local text = require("relay.mmdb").encode{{["127.0.0.0/8"] = {{country = {{iso_code = "{country}"}}}}}}
    local file = assert(io.open(arg[1], "wb")) file:write(text) file:close()"""
    with open(path + ".lua", "w", encoding="utf-8") as file:
        file.write(program)
    subprocess.run(["lua5.4", file.name, path + ".new"], check=True, env=dict(os.environ, LUA_PATH=f"{ROOT}/lua/?.lua"))
    os.replace(path + ".new", path)


def replace(server, name, text):
    os.replace(server.write(name + ".new", text), server.path(name))


@contextlib.contextmanager
def chain(*lines):
    """A server with all shipped policies but auth_http, which would be asked about every name, and an issuer of tokens."""
    files = {"maintenance.json": "{}", "secret": SECRET.decode() + "\n", "tenants.json": json.dumps({"tenants": {"acme": {"allocations": 5}}})}
    server = Server("userdb=relay.db", "secret=jwt=secret", "secret=rest=secret", *lines, auth=[], files=files, threads=2,
                    policies=[f"{name}.lua" for name in CHAIN])
    for name in CHAIN:
        shutil.copy(os.path.join(POLICIES, f"{name}.lua"), server.directory)
    issuer = Issuer(server.directory, "issuer")
    server.write("jwks.json", issuer.jwks())
    write_countries(server.path("country.mmdb"), "DE")
    with server:
        yield server, issuer
        check("policy_error" not in server.log(), "a policy failed")


def audit_rows(server):
    return [json.loads(detail) for detail, in server.query("SELECT detail FROM audit ORDER BY id")]


def code_of(server, credential):
    """How an Allocate is answered; one that is granted is given back."""
    with server.client(**credential) as client:
        code = client.allocate().code
        if code == 0:
            client.refresh(0)
        return code


@smoke
def a_token_is_enough_for_a_call_that_is_limited_counted_and_written_down():
    with chain() as (server, issuer), Peer() as peer:
        with server.client(**issuer.credential(sub="ann", tenant="acme", room="blue", limits={"user_quota": 1, "max_lifetime": 700})) as client:
            relayed = client.relayed(lifetime=3600)
            check_equal(client.permit(peer.address).code, 0, "the permission")
            client.send_to(peer.address, b"x" * 100)
            check_equal(peer.receive(), (b"x" * 100, relayed), "what reached the peer")
            check_equal(code_of(server, issuer.credential(sub="ann", tenant="acme", limits={"user_quota": 1})), 486, "a second call of ann")
            check_equal(client.refresh(0).code, 0, "the end")
        check_equal(code_of(server, issuer.credential(sub="eve", tenant="gone")), 403, "a token of no tenant")
        wait_for(lambda: len(audit_rows(server)) == 3, what="three rows of the audit table")
        rows = audit_rows(server)
        check_equal([(row["user"], row["tenant"], row["reason"]) for row in rows],
                    [("ann", "acme", "user_quota"), ("ann", "acme", "released"), ("eve", "gone", "unknown tenant")], "the rows")
        check_equal(rows[1]["bytes"], 100, "the bytes of ann's call")


@test
def keys_and_countries_change_under_the_running_server():
    with chain("set=geo.refuse=FR", TRUSTED) as (server, issuer):
        other = Issuer(server.directory, "other")
        check_equal([code_of(server, issuer.credential(sub="ann", tenant="acme")), code_of(server, other.credential(sub="ann", tenant="acme"))], [0, 401],
                    "the codes of the two issuers")
        replace(server, "jwks.json", other.jwks())
        wait_for(lambda: code_of(server, other.credential(sub="ann", tenant="acme")) == 0, what="the other issuer's key")
        check_equal(code_of(server, issuer.credential(sub="ann", tenant="acme")), 401, "the first issuer's code then")
        write_countries(server.path("country.mmdb"), "FR")
        wait_for(lambda: code_of(server, other.credential(sub="ann", tenant="acme")) == 403, what="the new country")
        wait_for(lambda: audit_rows(server)[-1]["reason"] == "country FR", what="the row that says which country")


@test
def maintenance_turns_clients_away_and_cuts_no_call():
    with chain(TRUSTED) as (server, issuer), Peer() as peer, server.client(**issuer.credential(sub="ann", tenant="acme")) as client:
        credential = issuer.credential(sub="bob", tenant="acme")
        relayed = client.relayed()
        check_equal(client.permit(peer.address).code, 0, "the permission")
        replace(server, "maintenance.json", json.dumps({"on": True, "message": "kernel update"}))
        wait_for(lambda: 'state="begins"' in server.log(), what="the line of the log")
        wait_for(lambda: code_of(server, credential) == 508, what="508")
        check('reason="maintenance: kernel update"' in server.log(), "the log does not say why")
        check_equal(client.refresh(600).code, 0, "ann's Refresh")
        client.send_to(peer.address, b"still here")
        check_equal(peer.receive(), (b"still here", relayed), "what reached the peer")
        replace(server, "maintenance.json", json.dumps({"on": True, "redirect": ["192.0.2.9:3478", "[2001:db8::9]:3478"]}))
        wait_for(lambda: code_of(server, credential) == 300, what="300")
        replace(server, "maintenance.json", "{}")
        wait_for(lambda: code_of(server, credential) == 0, what="the end")


@test
def who_guesses_passwords_is_banned_and_running_calls_go_on():
    with chain("set=abuse.strikes=4") as (server, issuer), server.client(**issuer.credential(sub="ann", tenant="acme")) as client:
        check_equal(client.allocate().code, 0, "ann's Allocate")
        credential = issuer.credential(sub="bob", tenant="acme")
        tries = 0
        while code_of(server, {"username": credential["username"], "password": "guess"}) == 401:
            tries += 1
            check(tries < 50, "nobody is banned")
        check_equal(code_of(server, credential), 403, "the right password from the same network")
        check_equal(client.refresh(600).code, 0, "ann's Refresh")
        kind = wait_for(lambda: server.query("SELECT type FROM audit WHERE type = 'banned'"), what="the row of the ban")
        check_equal(len(kind), 1, "the rows of bans")
        check("banned" in server.log(), "the log does not tell of the ban")


if __name__ == "__main__":
    main()
