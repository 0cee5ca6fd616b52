"""Coturn's own client and its credentials: every kind that lets it in, nonces that grow stale, servers that send it elsewhere, and all that it is refused."""
import time

from support import stun
from support.overheard import Overheard
from support.server import Server
from support.tap import check, check_equal, main, smoke, test
from support.uclient import LENGTH, LOAD, echo_peer, relays, uclient

PATIENT = True

ALONE = ("-y", "-c", *LOAD)
# with -o it puts one origin before the one it was told and one behind; the first is the one that counts
FIRST_ORIGIN = "https://carleon.gov:443"
ORIGIN = f"""
return {{authorize = function(req)
  if req.origin == "{FIRST_ORIGIN}" then return relay.allow{{}} end
  return relay.deny(403, "not from there")
end}}
"""
ELSEWHERE = 'return {%s = function() return relay.redirect{server = "127.0.0.1:%d"} end}'


@test
def a_key_in_hexadecimal_instead_of_a_password():
    key = stun.key_of("ann", "example.org", "secret").hex()
    with Server(auth=["lt-cred-mech", f"user=ann:0x{key}"]) as server:
        relays(server, "-c")


@test
def a_user_of_the_database():
    server = Server("userdb=relay.db", auth=["lt-cred-mech"])
    server.relay("user", "add", "--userdb", "relay.db", "--realm", server.realm, "bob", "--password-stdin", stdin="hunter2\n")
    with server:
        relays(server, "-c", user="bob", password="hunter2")
        uclient(server, *ALONE, user="bob", password="wrong").expect_refused()


@test
def a_credential_made_from_the_secret():
    with Server(auth=["use-auth-secret", "static-auth-secret=first", "static-auth-secret=second"]) as server:
        relays(server, "-c", "-W", "first", user="carol", password=None)
        relays(server, "-c", "-W", "second", user="carol", password=None)
        relays(server, "-c", "-W", "first", user=None, password=None)
        uclient(server, *ALONE, "-W", "third", user="carol", password=None).expect_refused()


@test
def an_expired_credential_is_refused():
    with Server(auth=["use-auth-secret", "static-auth-secret=first"]) as server:
        for expires, code in ((int(time.time()) + 60, 0), (int(time.time()) - 60, 401)):
            username, password = stun.rest_credential("first", expires, "carol")
            with server.client(username=username, password=password) as client:
                check_equal(client.allocate().code, code, f"the answer to a credential that expires at {expires}")
        username, password = stun.rest_credential("first", int(time.time()) - 60, "carol")
        uclient(server, *ALONE, user=username, password=password).expect_refused()


@smoke
def a_wrong_password_is_401():
    with Server() as server:
        uclient(server, *ALONE, password="wrong").expect_refused()
        with server.client(password="wrong") as client:
            message = client.allocate()
            check_equal(message.code, 401, "the answer to a wrong password")
            check(message.text(stun.REALM) == "example.org" and message.text(stun.NONCE), "the 401 names no realm or nonce")


@test
def an_unknown_user_looks_like_a_wrong_password():
    with Server() as server, server.client(password="wrong") as known, server.client(username="nobody") as unknown:
        answers = [known.allocate(), unknown.allocate()]
        shapes = [[(kind, len(value)) for kind, value in answer.attributes] for answer in answers]
        check_equal([answer.code for answer in answers], [401, 401], "the codes")
        check_equal(shapes[0], shapes[1], "the shape of the answer")


@test
def a_nonce_that_grows_stale_under_way_is_replaced_and_nothing_is_lost():
    # it refreshes after 30 s of its own clock, which are 1.5 s of ours, and again with the new nonce
    with Server("stale-nonce=1") as server, Overheard(server) as path:
        relays(server, "-c", "-n", "400", "-z", "100", messages=400, host="127.0.0.1", port=path.port, haste=20)
        refreshed = path.codes(stun.REFRESH)
        check(438 in refreshed and refreshed[refreshed.index(438) + 1:][:1] == [0], f"the answers to Refresh are {refreshed}")
        check_equal(set(path.codes(stun.ALLOCATE)), {401, 0}, "the answers to Allocate")


@test
def a_policy_reads_the_origin_it_names():
    with Server(files={"origin.lua": ORIGIN}, policies=["origin.lua"]) as server:
        relays(server, "-c", "-o", "https://game.example")
        uclient(server, *ALONE).expect_none(403)


@test
def it_goes_to_the_alternate_server_before_and_after_authentication():
    with Server() as other:
        for hook in ("route", "authorize"):
            with Server(files={"away.lua": ELSEWHERE % (hook, other.port)}, policies=["away.lua"]) as server:
                for transport in ([], ["-t"]):
                    relays(server, "-c", *transport)
                check_equal(server.log().count("method=ALLOCATE code=300"), 2, "how often the first server sent a client away")


@test
def a_quota_exceeded_is_486():
    with Server("user-quota=4") as server:
        uclient(server, "-m", "10", *ALONE).expect_none(486)


@test
def a_denied_peer_is_403():
    for denied in ({"peers": []}, {"peers": ["allow-loopback-peers", "denied-peer-ip=127.0.0.1"]}):
        with Server(**denied) as server, echo_peer() as peer:
            for how in ([], ["-s"]):
                uclient(server, "-c", "-e", "127.0.0.1", "-r", str(peer), *LOAD, *how).expect_none(403)


if __name__ == "__main__":
    main()
