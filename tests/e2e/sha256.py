"""RFC 8489's security features against the real server: SHA-256 passwords, bid-down protection, USERHASH, MESSAGE-INTEGRITY-SHA256."""
import contextlib
import sqlite3
import time

from support import stun
from support.client import transport
from support.server import Server, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

OFFER = bytes.fromhex("00020000 00010000")
SHA256, MD5 = bytes.fromhex("00020000"), bytes.fromhex("00010000")


class Modern:
    """What a client of RFC 8489 adds to a request; the pieces may be taken apart to play an attacker."""

    def __init__(self, client, offered=OFFER, taken=SHA256, userhash=False, strong=True, cut=32, both=False):
        self.client, self.offered, self.taken, self.userhash = client, offered, taken, userhash
        self.strong, self.cut, self.both = strong, cut, both
        if client.nonce is None:
            self.challenge = client.challenge()

    @property
    def key(self):
        make = stun.key_sha256_of if self.taken == SHA256 else stun.key_of
        return make(self.client.username, self.client.realm, self.client.password)

    def request(self, method=stun.ALLOCATE, attributes=None):
        client = self.client
        name = ((stun.USERHASH, stun.userhash_of(client.username, client.realm)) if self.userhash
                else (stun.USERNAME, client.username.encode()))
        items = [*([transport(stun.UDP)] if attributes is None else attributes), name,
                 (stun.REALM, client.realm.encode()), (stun.NONCE, client.nonce.encode())]
        if self.offered is not None:
            items.append((stun.PASSWORD_ALGORITHMS, self.offered))
        if self.taken is not None:
            items.append((stun.PASSWORD_ALGORITHM, self.taken))
        message = stun.build(method, items)
        if self.both or not self.strong:
            message = stun.with_integrity(message, self.key)
        if self.strong:
            message = stun.with_integrity_sha256(message, self.key, self.cut)
        return client.transact(message)

    def code(self, *request):
        """The code of the answer, which is signed as the request was, or not at all where nobody is known yet."""
        answer = self.request(*request)
        is_signed = answer.code not in (400, 401, 438)
        check_equal(answer.has_integrity_sha256(self.key), is_signed and self.strong, "MESSAGE-INTEGRITY-SHA256 in the answer")
        check_equal(answer.has_integrity(self.key), is_signed and not self.strong, "MESSAGE-INTEGRITY in the answer")
        return answer.code


def offering(*lines, **how):
    return Server("offer-sha256", *lines, **how)


def code(server, how, **who):
    with server.client(**who) as client:
        return Modern(client, **how).code()


@smoke
def a_client_of_rfc_8489_logs_in_and_relays():
    with offering() as server, server.client() as client:
        modern = Modern(client)
        check_equal(modern.challenge.get(stun.PASSWORD_ALGORITHMS), OFFER, "what is offered")
        check(client.nonce.startswith("obMatJos2gAAB"), f"the nonce is {client.nonce}")
        check_equal(modern.code(), 0, "the Allocate")
        check_equal(modern.code(stun.REFRESH, []), 0, "the Refresh")
        check_equal(modern.code(), 437, "an Allocate on the same 5-tuple")


@test
def nothing_is_offered_unless_the_server_is_told_to():
    with Server() as server, server.client() as client:
        modern = Modern(client)
        check_equal(modern.challenge.get(stun.PASSWORD_ALGORITHMS), None, "what is offered")
        check(not client.nonce.startswith("obMatJos2"), f"the nonce is {client.nonce}")
        check(len(modern.challenge.data) <= 84, f"{len(modern.challenge.data)} bytes of challenge")
        check_equal(modern.code(), 400, "the Allocate that takes what was not offered")
        check_equal(Modern(client, offered=None, taken=None).code(), 0, "MESSAGE-INTEGRITY-SHA256 with an MD5 key")


@test
def clients_that_know_nothing_of_it_are_served_as_before():
    with offering() as server:
        for name in ("udp", "tcp"):
            with server.client(name) as client:
                check_equal(client.allocate().code, 0, f"the Allocate over {name}")
                check_equal(client.refresh(600).code, 0, f"the Refresh over {name}")


@test
def either_key_goes_with_either_integrity():
    with offering() as server:
        for taken in (SHA256, MD5):
            for strong in (True, False):
                check_equal(code(server, {"taken": taken, "strong": strong}), 0, f"{taken.hex()}, strong={strong}")
                check_equal(code(server, {"taken": taken, "strong": strong}, password="wrong"), 401, "a wrong password")
        check_equal(code(server, {"both": True}), 0, "both kinds of integrity")
        check_equal([code(server, {"cut": cut}) for cut in (12, 16, 20, 28)], [401, 0, 0, 0], "an HMAC that was cut")


@test
def a_bid_down_is_found_out():
    ways = [
        ("only MD5 was shown to the client", {"offered": MD5, "taken": MD5}),
        ("MD5 was put first", {"offered": MD5 + SHA256, "taken": MD5}),
        ("the offer was taken out of the request", {"offered": None}),
        ("the choice was taken out of the request", {"taken": None}),
        ("an algorithm that was not offered", {"taken": bytes.fromhex("00030000")}),
        ("parameters that nobody knows", {"taken": bytes.fromhex("0002000400000000")}),
    ]
    with offering() as server:
        for what, how in ways:
            check_equal(code(server, how), 400, what)
            check_equal(code(server, {**how, "strong": False}), 400, what + ", MESSAGE-INTEGRITY")
        with server.client() as client:
            client.challenge()
            real = client.nonce
            for nonce in (real[13:], "obMatJos2AAAA" + real[13:]):
                client.nonce = nonce
                check_equal(Modern(client, offered=None, taken=None, strong=False).code(), 438, f"the nonce {nonce}")
            client.nonce = real
            check_equal(Modern(client).code(), 0, "the real nonce")


@test
def what_is_behind_the_integrity_is_not_seen():
    with offering() as server, server.client() as client:
        modern = Modern(client)
        check_equal(modern.code(), 0, "the Allocate")
        items = [(stun.USERNAME, b"ann"), (stun.REALM, client.realm.encode()), (stun.NONCE, client.nonce.encode()),
                 (stun.PASSWORD_ALGORITHMS, OFFER), (stun.PASSWORD_ALGORITHM, SHA256)]
        message = stun.with_integrity_sha256(stun.build(stun.REFRESH, items), modern.key)
        message = stun.with_length(message + stun.attribute(stun.LIFETIME, bytes(4)) + stun.attribute(0x7777, b"what"))
        answer = client.transact(message)
        check_equal((answer.code, answer.number(stun.LIFETIME)), (0, 600), "the answer, whose lifetime is not 0")


@test
def a_userhash_hides_the_name():
    with offering("offer-userhash") as server, server.client() as client:
        modern = Modern(client, userhash=True)
        check(client.nonce.startswith("obMatJos2wAAD"), f"the nonce is {client.nonce}")
        check_equal(modern.code(), 0, "the Allocate")
        check_equal(Modern(client).code(stun.REFRESH, []), 0, "the Refresh by name")
        plain = Modern(client, offered=None, taken=None, strong=False, userhash=True)
        check_equal(plain.code(stun.REFRESH, []), 0, "the Refresh with MESSAGE-INTEGRITY, as libjuice does")
        check_equal(code(server, {"userhash": True}, username="eve"), 401, "an unknown hash")
        check_equal(code(server, {"userhash": True}, password="wrong"), 401, "a wrong password")


@test
def a_userhash_finds_users_of_the_database_and_of_policies():
    text = """
    local names = {}
    for _, name in ipairs{"zoe", "bob"} do names[relay.userhash(name, "example.org")] = name end
    return {name = "hidden", authenticate = function(req)
      local name = req.username or names[req.userhash]
      if name == "zoe" then return relay.key{user = name, password = "open"} end
    end}"""
    with offering("offer-userhash", "userdb=relay.db", files={"hidden.lua": text}, policies=["hidden.lua"]) as server:
        server.relay("user", "add", "--userdb", "relay.db", "--realm", server.realm, "bob", "--password-stdin", stdin="hunter2\n")
        for taken in (SHA256, MD5):
            how = {"userhash": True, "taken": taken}
            for name, password in (("zoe", "open"), ("bob", "hunter2"), ("ann", "secret")):
                check_equal(code(server, how, username=name, password=password), 0, f"{name}'s Allocate")
                check_equal(code(server, how, username=name, password="wrong"), 401, f"{name}'s with a wrong password")
            check_equal(code(server, how, username="eve"), 401, "an unknown hash")
        with server.client(username="zoe", password="open") as zoe:
            hidden = Modern(zoe, userhash=True)
            check_equal([hidden.code(), hidden.code(stun.REFRESH, [])], [0, 0], "zoe's Allocate and Refresh")


@test
def a_userhash_is_not_asked_for_where_somebody_could_not_be_found():
    schema = "CREATE TABLE turnusers_lt (realm varchar(127), name varchar(512), hmackey varchar(128))"
    for lines, why in ((["static-auth-secret=north"], "cannot be found by its hash"), (["userdb=old.db"], "turnusers_lt")):
        server = Server("offer-userhash", *lines)
        with contextlib.closing(sqlite3.connect(server.path("old.db"))) as old:
            old.execute(schema)
        status, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(status == 1 and "offer-userhash" in errors and why in errors, f"{lines} was answered {status}: {errors}")


@test
def secrets_and_policies_give_keys_of_both_kinds():
    username, password = stun.rest_credential("north", int(time.time()) + 600, "bob")
    late, stale = stun.rest_credential("north", int(time.time()) - 600, "bob")
    text = f"""
    return {{name = "keys", authenticate = function(req)
      if req.username == "zoe" then return relay.key{{user = "zoe", password = "open"}} end
      if req.username == "kim" then return relay.key{{user = "kim", ha1_sha256 = "{stun.key_sha256_of('kim', 'example.org', 'shut').hex()}"}} end
    end}}"""
    with offering("static-auth-secret=north", files={"keys.lua": text}, policies=["keys.lua"]) as server:
        for taken in (SHA256, MD5):
            how = {"taken": taken}
            check_equal(code(server, how, username=username, password=password), 0, "a time-limited name")
            check_equal(code(server, how, username=late, password=stale), 401, "one that has expired")
            check_equal(code(server, how, username="zoe", password="open"), 0, "a password of a policy")
        check_equal(code(server, {}, username="kim", password="shut"), 0, "a SHA-256 key of a policy")
        check_equal(code(server, {"taken": MD5}, username="kim", password="shut"), 401, "MD5, of which the policy has no key")


@test
def keys_kept_as_md5_serve_md5_alone():
    line = f"user=kim:0x{stun.key_of('kim', 'example.org', 'shut').hex()}"
    with offering("userdb=relay.db", line) as server:
        bob = ["user", "add", "--userdb", "relay.db", "--realm", server.realm, "bob"]
        server.relay(*bob, "--key", f"0x{stun.key_of('bob', server.realm, 'hunter2').hex()}")
        wait_for(lambda: code(server, {"taken": MD5}, username="bob", password="hunter2") == 0, 3, "bob's MD5 key")
        check_equal(code(server, {}, username="bob", password="hunter2"), 401, "SHA-256 for a user who was added by a key")
        server.relay(*bob, "--password-stdin", stdin="hunter2\n")
        wait_for(lambda: code(server, {}, username="bob", password="hunter2") == 0, 3, "bob's SHA-256 key")
        check_equal(code(server, {"taken": MD5}, username="bob", password="hunter2"), 0, "and his MD5 key")
        check_equal(code(server, {"taken": MD5}, username="kim", password="shut"), 0, "kim with MD5")
        check_equal(code(server, {}, username="kim", password="shut"), 401, "kim with SHA-256")
        check("offer-sha256" in server.log(), "no warning about keys kept as MD5")


if __name__ == "__main__":
    main()
