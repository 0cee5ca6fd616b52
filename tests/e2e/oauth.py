"""Third-party authorization (RFC 7635) against the real server: tokens of our own, of turnutils_oauth, and turnutils_uclient -J."""
import base64
import contextlib
import os
import re
import sqlite3
import struct
import subprocess
import time

from support import stun
from support.client import number, transport
from support.server import Server, need
from support.tap import check, check_equal, main, smoke, test, wait_for
from support.token import COTURN_KEYS, Issuer, seal
from support.uclient import echo_peer, uclient

PATIENT = True

NAME = "turn.example.org"


def offering(*lines, **how):
    return Server("oauth", f"server-name={NAME}", "userdb=relay.db", *lines, **how)


def request(client, kid, mac_key, method=stun.ALLOCATE, attributes=None, token=None):
    """A request that is signed with the token's key; its answer must be signed alike, or be of those that nobody signs."""
    if client.nonce is None:
        client.challenge()
    items = [transport(stun.UDP)] if attributes is None else attributes
    items = [*items, *([(stun.ACCESS_TOKEN, token)] if token is not None else []), (stun.USERNAME, kid.encode()),
             (stun.REALM, client.realm.encode()), (stun.NONCE, client.nonce.encode())]
    strong = len(mac_key) == 32
    answer = client.transact((stun.with_integrity_sha256 if strong else stun.with_integrity)(stun.build(method, items), mac_key))
    is_signed = answer.has_integrity_sha256(mac_key) if strong else answer.has_integrity(mac_key)
    check_equal(is_signed, answer.code not in (400, 401, 420, 438), f"the answer {answer.code} is signed with the token's key")
    return answer


def rows(server, sql):
    with contextlib.closing(sqlite3.connect(os.path.join(server.directory, "relay.db"))) as database:
        return database.execute(sql).fetchall()


def allocate(server, issuer, token, mac_key):
    with server.client() as client:
        return request(client, issuer.kid, mac_key, token=token).code


@smoke
def a_token_opens_the_door_and_its_key_signs_what_follows():
    with offering() as server, server.client() as client:
        issuer = Issuer("north")
        issuer.give_to(server)
        token, mac_key = issuer.issue(NAME, 300)
        challenge = client.challenge()
        check_equal(challenge.code, 401, "the first answer")
        check_equal(challenge.text(stun.THIRD_PARTY_AUTHORIZATION), NAME, "the server's name in it")
        answer = request(client, "north", mac_key, token=token)
        check_equal(answer.code, 0, "the Allocate")
        check(295 <= answer.number(stun.LIFETIME) <= 300, f"a lifetime of {answer.number(stun.LIFETIME)} s")
        check_equal(request(client, "north", mac_key, stun.CREATE_PERMISSION, [stun.peer("127.0.0.1", 9)]).code, 0, "CreatePermission")
        check_equal(request(client, "north", mac_key, stun.REFRESH, [number(stun.LIFETIME, 0)]).code, 0, "the release")
        log = server.log()
        check(mac_key.hex() not in log and issuer.key.hex() not in log, "a key is in the log")


@test
def every_algorithm_and_every_length_of_key():
    with offering() as server:
        for algorithm in ("A128GCM", "A256GCM"):
            issuer = Issuer("of " + algorithm, algorithm)
            issuer.give_to(server)
            for length in (20, 32):
                check_equal(allocate(server, issuer, *issuer.issue(NAME, mac_key=os.urandom(length))), 0, f"{algorithm}, a key of {length}")
            for length in (0, 1, 16, 19, 21, 33, 64, 200):
                block = struct.pack("!H", length) + bytes(length) + struct.pack("!QI", int(time.time()) << 16, 600)
                check_equal(allocate(server, issuer, seal(issuer.key, NAME, block), bytes(length or 1)), 401, f"a key of {length}")


@test
def whoever_has_no_good_token_stays_out():
    with offering() as server:
        north, other, ended = Issuer("north"), Issuer("north"), Issuer("ended")
        north.give_to(server)
        ended.give_to(server, "--lifetime", "1")
        token, mac_key = north.issue(NAME)
        check_equal(allocate(server, north, token, mac_key), 0, "a good token")
        late, soon = north.issue(NAME, 60, age=62), north.issue(NAME, 60, age=-62)
        check_equal([allocate(server, north, *late), allocate(server, north, *soon)], [0, 0], "clocks that differ by less than five seconds")
        cases = [
            ("a kid that nobody knows", Issuer("south"), north.issue(NAME)),
            ("a token of another key", north, other.issue(NAME)),
            ("a token for another server", north, north.issue("turn.example.com")),
            ("a token for the realm", north, north.issue("example.org")),
            ("a token that has expired", north, north.issue(NAME, 60, age=66)),
            ("a token of the future", north, north.issue(NAME, 60, age=-66)),
            ("a token without its key", north, (token, bytes(20))),
            ("a token that was cut", north, (token[:-1], mac_key)),
            ("a token that was changed", north, (token[:-1] + bytes([token[-1] ^ 1]), mac_key)),
            ("no bytes", north, (b"", mac_key)),
            ("a nonce that is longer than the token", north, (b"\xff\xff" + token[2:], mac_key)),
            ("a nonce of 735 bytes (CVE-2026-43994)", north, (struct.pack("!H", 735) + bytes(1000), mac_key)),
        ]
        for what, issuer, (bytes_of, key) in cases:
            check_equal(allocate(server, issuer, bytes_of, key), 401, what)
        wait_for(lambda: allocate(server, ended, *ended.issue(NAME)) == 401, 5, "the end of a key that is good for a second")
        for reason in ("unknown_kid", "bad_token", "expired", "bad_integrity"):
            check(f'reason="{reason}"' in server.log(), f"{reason} is not in the log")
        server.relay("oauth", "remove", "--userdb", "relay.db", "north")
        check_equal(allocate(server, north, *north.issue(NAME)), 401, "a key that was removed")


@test
def a_new_token_refreshes_and_may_come_from_another_key():
    with offering() as server, server.client() as client:
        old, new, foreign = Issuer("old"), Issuer("new", "A128GCM"), Issuer("foreign")
        old.give_to(server, "--realm", "acme")
        new.give_to(server, "--realm", "acme")
        foreign.give_to(server, "--realm", "else")
        token, first = old.issue(NAME, 60)
        check_equal(request(client, "old", first, token=token).code, 0, "the Allocate")
        token, second = new.issue(NAME, 900)
        answer = request(client, "new", second, stun.REFRESH, [], token)
        check_equal((answer.code, answer.number(stun.LIFETIME)), (0, 600), "the Refresh with a new token")
        peer = [stun.peer("127.0.0.1", 9)]
        check_equal(request(client, "new", second, stun.CREATE_PERMISSION, peer).code, 0, "CreatePermission with the new key")
        check_equal(request(client, "old", first, stun.CREATE_PERMISSION, peer).code, 401, "CreatePermission with the old one")
        token, third = foreign.issue(NAME)
        check_equal(request(client, "foreign", third, stun.REFRESH, [], token).code, 441, "a Refresh with a token of another realm")


@test
def an_allocation_ends_with_its_token():
    with offering() as server, server.client() as client:
        issuer = Issuer("north")
        issuer.give_to(server)
        token, mac_key = issuer.issue(NAME, 60, age=62)  # three seconds are left
        answer = request(client, "north", mac_key, token=token)
        check(1 <= answer.number(stun.LIFETIME) <= 3, f"a lifetime of {answer.number(stun.LIFETIME)} s")
        wait_for(lambda: rows(server, "SELECT reason FROM sessions") == [("credential_expired",)], 8, "the end of the allocation")


@test
def nothing_changes_where_it_is_off():
    with Server("userdb=relay.db") as server, server.client() as client:
        issuer = Issuer("north")
        issuer.give_to(server)
        challenge = client.challenge()
        check_equal(challenge.get(stun.THIRD_PARTY_AUTHORIZATION), None, "THIRD-PARTY-AUTHORIZATION")
        check(len(challenge.data) <= 84, f"{len(challenge.data)} bytes of challenge")
        token, mac_key = issuer.issue(NAME)
        answer = request(client, "north", mac_key, token=token)
        check_equal((answer.code, answer.unknown), (420, [stun.ACCESS_TOKEN]), "a token that nobody asked for")
    with offering() as server, server.client() as client:
        check_equal(client.allocate().code, 0, "a password where tokens are offered")


@test
def tokens_made_by_coturn_are_read_and_ours_by_coturn():
    need("turnutils_oauth")
    with offering() as server:
        for kid, key, algorithm in COTURN_KEYS:
            issuer = Issuer(kid, algorithm, key)
            issuer.give_to(server)
            mac_key = b"ZksjpweoixXmvn67534m"
            shared = ["turnutils_oauth", "-i", NAME, "-j", kid, "-k", key, "-l", str(int(time.time())), "-m", "3600", "-n", algorithm]
            made = subprocess.run([*shared, "-e", "-p", base64.b64encode(mac_key).decode(), "-q", str(int(time.time()) << 16), "-r", "600"],
                                  capture_output=True, text=True, timeout=10).stdout
            token = base64.b64decode(re.findall(r"[A-Za-z0-9+/=]{80,}", made)[-1])
            check_equal(allocate(server, issuer, token, mac_key), 0, f"a token of turnutils_oauth for {kid}")
            token, _ = issuer.issue(NAME, mac_key=mac_key)
            read = subprocess.run([*shared, "-v", "-d", "-t", base64.b64encode(token).decode()], capture_output=True, text=True, timeout=10)
            check(mac_key.decode() in read.stdout, f"turnutils_oauth does not read ours:\n{read.stdout}{read.stderr}")


def relays_for_uclient(*arguments, tls=False):
    with offering(tls=tls, ports=64) as server, echo_peer() as peer:
        for kid, key, algorithm in COTURN_KEYS:
            Issuer(kid, algorithm, key).give_to(server)
        port = ("-p", str(server.tls_port)) if tls else ()
        result = uclient(server, "-J", "-e", "127.0.0.1", "-r", str(peer), "-n", "20", "-m", "2", "-l", "100", *arguments, *port, user=None,
                         password=None)
        result.expect_all(40, 100)
        users = {user for user, in rows(server, "SELECT user FROM sessions")}
        check(users and users <= {kid for kid, _, _ in COTURN_KEYS}, f"the sessions are of {users}")


@test
def uclient_relays_with_tokens_over_udp():
    relays_for_uclient()


@test
def uclient_relays_with_tokens_over_tcp():
    relays_for_uclient("-t")


@test
def uclient_relays_with_tokens_over_tls():
    relays_for_uclient("-t", "-S", tls=True)


@test
def a_policy_judges_tokens_of_its_own():
    text = """
    local KEYS = {["opaque handle"] = {("0a"):rep(20), 300}}
    return {name = "handles", authenticate = function(req)
      local known = KEYS[req.access_token]
      if known then return relay.key{user = "zoe", mac_key = known[1], expires = req.now + known[2]} end
    end}"""
    with Server("oauth", files={"handles.lua": text}, policies=["handles.lua"]) as server, server.client() as client:
        check_equal(client.challenge().text(stun.THIRD_PARTY_AUTHORIZATION), server.realm, "without server-name the realm")
        answer = request(client, "anything", b"\x0a" * 20, token=b"opaque handle")
        check_equal(answer.code, 0, "the Allocate")
        check(295 <= answer.number(stun.LIFETIME) <= 300, f"a lifetime of {answer.number(stun.LIFETIME)} s")
        check_equal(request(client, "anything", b"\x0a" * 20, stun.REFRESH, [number(stun.LIFETIME, 0)]).code, 0, "the release")
        with server.client() as stranger:
            check_equal(request(stranger, "anything", b"\x0a" * 20, token=b"another").code, 401, "a handle that nobody knows")


if __name__ == "__main__":
    main()
