"""What policies see of a request on a real connection, and what their decisions about a living allocation do to the client."""
import contextlib

from support import stun
from support.client import Peer
from support.server import Server
from support.tap import check, check_equal, main, smoke, test

PATIENT = True

FIELDS = ("method", "transport", "listener", "src", "dst", "sni", "alpn", "origin", "software", "username", "userhash", "realm", "user")

SHOWS = """
local names = {%s}
local function show(hook)
  return function(req)
    local seen = {}
    for _, name in ipairs(names) do seen[name] = req[name] and tostring(req[name]) or "-" end
    relay.log.info(hook, seen)
  end
end
return {name = "shows", route = show "route", authenticate = show "authenticate", authorize = show "authorize"}
""" % ", ".join(f'"{name}"' for name in FIELDS)


def shown(server, hook):
    """The fields as a hook last logged them."""
    lines = [line for line in server.log().splitlines() if f'"{hook}"' in line or f" {hook} " in line]
    check(lines, f"{hook} has shown nothing:\n{server.log()}")
    pairs = (word.split("=", 1) for word in lines[-1].split() if "=" in word)
    return {name: value.strip('"') for name, value in pairs if name in FIELDS}


def sees(transport, **client):
    """What the three hooks see of one Allocate."""
    with Server(tls=True, files={"shows.lua": SHOWS}, policies=["shows.lua"]) as server, \
            server.client(transport, **client) as who:
        check_equal(who.allocate().code, 0, f"the Allocate over {transport}")
        port = server.tls_port if transport == "tls" else server.port
        both = {"method": "allocate", "transport": transport, "listener": f"{transport}:127.0.0.1:{port}", "dst": f"127.0.0.1:{port}",
                "src": "%s:%d" % who.local, "realm": server.realm}
        return [shown(server, hook) for hook in ("route", "authenticate", "authorize")], both


@smoke
def sni_alpn_origin_and_software_are_seen_over_tls():
    (route, authenticate, authorize), both = sees("tls", sni="north.example.org", alpn=["webrtc", "stun.turn"], origin="https://app.example",
                                                  software="client/1")
    both |= {"sni": "north.example.org", "alpn": "stun.turn", "origin": "https://app.example", "software": "client/1", "userhash": "-"}
    check_equal(route, {**both, "username": "-", "user": "-"}, "what route saw")
    check_equal(authenticate, {**both, "username": "ann", "user": "-"}, "what authenticate saw")
    check_equal(authorize, {**both, "username": "ann", "user": "ann"}, "what authorize saw")


@test
def what_a_transport_does_not_have_is_nil():
    for transport in ("udp", "tcp"):
        (route, _, authorize), both = sees(transport)
        both |= {"sni": "-", "alpn": "-", "origin": "-", "software": "-", "userhash": "-"}
        check_equal(route, {**both, "username": "-", "user": "-"}, f"what route saw over {transport}")
        check_equal(authorize, {**both, "username": "ann", "user": "ann"}, f"what authorize saw over {transport}")


@test
def a_userhash_is_seen_in_hexadecimal_beside_the_name():
    with Server("offer-userhash", files={"shows.lua": SHOWS}, policies=["shows.lua"]) as server, server.client() as client:
        client.challenge()
        hidden = stun.userhash_of("ann", client.realm)
        message = stun.build(stun.ALLOCATE, [(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0"), (stun.USERHASH, hidden),
                                             (stun.REALM, client.realm.encode()), (stun.NONCE, client.nonce.encode())])
        answer = client.transact(stun.with_integrity(message, stun.key_of("ann", client.realm, "secret")))
        check_equal(answer.code, 0, "the Allocate")
        seen = shown(server, "authorize")
        check_equal((seen["userhash"], seen["username"], seen["user"]), (hidden.hex(), "ann", "ann"), "what authorize saw")


@contextlib.contextmanager
def allocated(hooks, *lines, **server):
    text = f'return {{name = "decides", {hooks}}}'
    with Server(*lines, files={"decides.lua": text}, policies=["decides.lua"], **server) as running, running.client() as client:
        client.relayed()
        yield running, client


@smoke
def refresh_may_deny_and_the_allocation_lives_on():
    deny = "refresh = function(alloc, req) if req.lifetime and req.lifetime < 600 then return relay.deny(req.lifetime) end end"
    with allocated(deny) as (_, client), Peer() as peer:
        check_equal(client.bind(0x4000, peer.address).code, 0, "the ChannelBind")
        for code in (403, 486, 508):
            check_equal(client.refresh(code).code, code, "the Refresh")
        client.send_channel(0x4000, b"ping")
        check(peer.receive(), "what was refused a Refresh no longer relays")
        check_equal(client.refresh(600).code, 0, "a Refresh that is allowed")
        check_equal(client.refresh(0).code, 0, "the release, which is never asked about")


@test
def reauth_makes_the_client_show_its_password_again():
    hooks = """
      authenticate = function(req) relay.log.info("asked") end,
      refresh = function(alloc, req) if req.lifetime == 601 then return relay.reauth() end end"""
    with allocated(hooks) as (server, client), Peer() as peer:
        client.bind(0x4000, peer.address)
        asked = server.log().count("asked")
        answer = client.transact(client.signed(stun.REFRESH, [(stun.LIFETIME, (601).to_bytes(4, "big"))]))
        check_equal(answer.code, 438, "the Refresh")
        client.learn(answer)
        check_equal(client.transact(client.signed(stun.REFRESH, [(stun.LIFETIME, (601).to_bytes(4, "big"))], password="wrong")).code, 401,
                    "the Refresh with a wrong password")
        check_equal(client.refresh(600).code, 0, "the Refresh with the password")
        check_equal(server.log().count("asked"), asked + 2, "how often authenticate was asked")
        client.send_channel(0x4000, b"ping")
        check(peer.receive(), "the allocation no longer relays")


@test
def channel_may_deny_a_number_or_a_peer():
    hooks = """channel = function(alloc, peer, number)
        if number == 0x4005 or peer.port == 7 then return relay.deny(403) end
      end"""
    with allocated(hooks) as (_, client), Peer() as peer:
        check_equal(client.bind(0x4005, peer.address).code, 403, "the number")
        check_equal(client.bind(0x4006, ("127.0.0.1", 7)).code, 403, "the peer")
        client.send_channel(0x4005, b"lost")
        check_equal(client.bind(0x4006, peer.address).code, 0, "another")
        client.send_channel(0x4006, b"ping")
        check_equal(peer.receive()[0], b"ping", "what the peer received first")


if __name__ == "__main__":
    main()
