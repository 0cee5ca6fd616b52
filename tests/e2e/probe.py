"""relay test turn:...: a TURN server, ours or another, tried from the outside; each fault is told in its own words."""
import contextlib
import json
import os
import socket
import subprocess
import time

from support import stun
from support.server import SANITIZED, Server, free_port, free_range, need, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

LOGIN = ("--user", "ann", "--password-stdin")
QUICK = ("--seconds", "1")


def probe(server, url, *arguments, login=LOGIN, password="secret", env=None):
    """The exit code, and what was found out about the one URL."""
    code, output, errors = run_relay("test", url, *login, *QUICK, "--json", *arguments, stdin=password + "\n", cwd=server.directory if server else None,
                                     limit_s=60, env=env)
    check(output, f"relay test {url} said {errors}")
    (result,) = json.loads(output)
    check_equal(result["works"], code == 0, f"the exit code and the verdict of {url}")
    return code, result


def step(result, name):
    return next(step for step in result["steps"] if step["step"] == name)


def urls(server):
    return {"udp": f"turn:{server.host}:{server.port}", "tcp": f"turn:{server.host}:{server.port}?transport=tcp",
            "tls": f"turns:localhost:{server.tls_port}", "dtls": f"turns:localhost:{server.tls_port}?transport=udp"}


@smoke
def a_game_is_played_over_every_transport():
    with Server(tls=True, threads=2) as server:
        for name, url in urls(server).items():
            code, result = probe(server, url, env={"SSL_CERT_FILE": server.authority})
            check_equal((code, [one["state"] for one in result["steps"] if one["state"] == "fails"]), (0, []), name)
            check_equal([one["step"] for one in result["steps"]],
                        ["resolve", "connect", "binding", "allocate", "permission", "game", "bulk", "release"], f"the steps over {name}")
            game = result["game"]
            check_equal(game["sent"], 60, f"packets of a second over {name}")
            check(SANITIZED or game["came"] >= 50, f"{game['came']} packets came back over {name}")
            check(0 < game["p50_ms"] <= game["p95_ms"] <= game["p99_ms"], f"round trips over {name}: {game}")
            check(result["mbit_s"] > 1, f"{result['mbit_s']} Mbit/s over {name}")
            check_equal((result["realm"], result["mapped"]), ("example.org", result["local"]), f"realm and address over {name}")


@test
def nothing_is_left_behind():
    with Server("admin-socket=door") as server:
        probe(server, urls(server)["udp"])
        rows = json.loads(server.relay("allocations", "-c", "turnserver.conf", "--json"))
        check_equal(rows, [], "allocations after the test")


@test
def a_certificate_that_nobody_vouches_for_is_named():
    with Server(tls=True) as server:
        code, result = probe(server, urls(server)["tls"])
        check_equal((code, step(result, "connect")["state"]), (1, "fails"), "a certificate of an unknown authority")
        check("certificate" in step(result, "connect")["what"], step(result, "connect")["what"])
        code, result = probe(server, urls(server)["tls"], "--insecure")
        check_equal(code, 0, "the same with --insecure")
        code, result = probe(server, f"turns:127.0.0.2:{server.tls_port}", env={"SSL_CERT_FILE": server.authority})
        check_equal(code, 1, "an address that is not in the certificate")


@test
def each_refusal_has_its_own_words_and_the_servers():
    secret = "the secret"
    auth = ("lt-cred-mech", "user=ann:secret", "user=bob:secret", f"static-auth-secret={secret}")
    old, _ = stun.rest_credential(secret, int(time.time()) - 63, "zoe")
    fresh, _ = stun.rest_credential(secret, int(time.time()) + 600, "zoe")
    with Server("admin-socket=door", "user-quota=1", auth=auth) as server:
        url = urls(server)["udp"]
        cases = [
            (("ann", "wrong"), "allocate", 401, "wrong", "bad_integrity"),
            (("nobody", "x"), "allocate", 401, "unknown", "unknown_user"),
            ((old, "x"), "allocate", 401, "expired 6", "expired"),
            ((fresh, "made with another secret"), "allocate", 401, "secret", "bad_integrity"),
            (("bob", "secret"), "permission", 486, "quota", "user_quota"),
        ]
        for (user, password), at, number, words, rule in cases:
            _, result = probe(server, url, "-c", "turnserver.conf", login=("--user", user, "--password-stdin"), password=password)
            found = step(result, at)
            check_equal((found["state"], found["code"]), ("fails", number), f"what {user} is told")
            check(words in found["what"], f"{user} is told: {found['what']}")
            check(found["advice"], f"{user} is advised")
            check(result["record"], f"no record of the refusal of {user}")
            check_equal((result["record"]["code"], result["record"]["rule"]), (number, rule), f"the record of {user}")
    with Server("admin-socket=door", peers=()) as server:
        _, result = probe(server, urls(server)["udp"], "-c", "turnserver.conf")
        found = step(result, "permission")
        check_equal((found["code"], result["record"]["rule"]), (403, "peer_not_allowed"), "a refused peer")
        check("loopback" in result["record"]["why"], f"the server says: {result['record']['why']}")


@test
def a_port_that_is_silent_or_shut_is_told_apart():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        _, result = probe(None, f"turn:127.0.0.1:{silent.getsockname()[1]}")
        check("no answer over UDP" in step(result, "binding")["what"], step(result, "binding")["what"])
        check("firewall" in step(result, "binding")["advice"], step(result, "binding")["advice"])
    port = free_port()
    _, result = probe(None, f"turn:127.0.0.1:{port}")
    check("nobody listens" in step(result, "binding")["what"], step(result, "binding")["what"])
    _, result = probe(None, f"turn:127.0.0.1:{port}?transport=tcp")
    check("refused" in step(result, "connect")["what"], step(result, "connect")["what"])
    _, result = probe(None, "turn:nobody.invalid")
    check_equal(step(result, "resolve")["state"], "fails", "a name that is not there")


@test
def stun_alone_needs_no_user():
    with Server() as server:
        code, result = probe(server, f"stun:{server.host}:{server.port}", login=())
        check_equal((code, [one["step"] for one in result["steps"]]), (0, ["resolve", "connect", "binding"]), "stun:")
        code, result = probe(server, urls(server)["udp"], login=())
        check("wants a user" in step(result, "allocate")["what"], step(result, "allocate")["what"])


@test
def another_server_is_tried_as_well():
    need("turnserver")
    port, first = free_port(), free_range(20)
    command = ["turnserver", "-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", str(port), "--min-port", str(first),
               "--max-port", str(first + 19), "--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech", "--user", "ann:secret", "--realm", "other.example",
               "--allow-loopback-peers", "--log-file", "stdout", "--pidfile", os.devnull, "--userdb", f"/tmp/relay-e2e-{os.getpid()}-none.db"]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: accepts(port), 10, "the other server")
        for url in (f"turn:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=tcp"):
            code, result = probe(None, url)
            check_equal((code, result["realm"]), (0, "other.example"), url)
        _, result = probe(None, f"turn:127.0.0.1:{port}", password="wrong")
        check_equal(step(result, "allocate")["code"], 401, "a wrong password")
    finally:
        other.terminate()
        other.wait(10)
        with contextlib.suppress(OSError):
            os.unlink(f"/tmp/relay-e2e-{os.getpid()}-none.db")


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@test
def what_is_said_wrongly_is_refused_with_the_way_out():
    for arguments, words in [
        (("turn:",), "a URL expected"), (("turn:host:0",), "a URL expected"), (("turn:host?transport=sctp",), "a URL expected"),
        (("turn:ho st",), "a URL expected"), (("turn:[::1",), "a URL expected"), (("turn:host", "--user", "ann"), "a password as well"),
        (("turn:host", "--password", "x"), "--user as well"), (("turn:host", "--seconds", "61"), "--seconds"), (("turn:host", "--live"), "for specs"),
        (("--user", "ann"), "for a URL"),
    ]:
        code, _, errors = run_relay("test", *arguments)
        check_equal(code, 2, f"relay test {arguments}")
        check(words in errors, f"relay test {arguments}: {errors}")


if __name__ == "__main__":
    main(limit_s=120)
