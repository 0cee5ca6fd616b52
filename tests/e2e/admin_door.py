"""Where the admin door is: addresses and a unix socket, TLS with a certificate that is exchanged, and what of it is refused at the start."""
import contextlib
import http.client
import signal
import socket
import ssl

from support import stun
from support.door import Connection, call
from support.follow import Follower
from support.server import AUTHORITY, Server, free_port, make_certificate, run_relay
from support.tap import check, check_equal, main, smoke, test, wait_for

PATIENT = True

USERDB = "userdb=relay.db"
SOON_S = 5.0


def operator_key(server):
    code, token, errors = run_relay("key", "add", "--userdb", "relay.db", "--tenant", "*", "--scope", "admin", cwd=server.directory)
    check_equal(code, 0, errors)
    return token.strip()


def ask(connection, path, key=None):
    try:
        return call(connection, "GET", path, key=key)[0]
    finally:
        connection.close()


@smoke
def a_loopback_address_answers_keys_and_nobody_else():
    port = free_port()
    with Server(USERDB, f"admin-listen=127.0.0.1:{port}", f"admin-listen=[::1]:{port}", "admin-listen=unix:door") as server:
        key = operator_key(server)
        for host in ("127.0.0.1", "::1"):
            check_equal([ask(http.client.HTTPConnection(host, port), "/v1/policy", each) for each in (key, None, "wrong")], [200, 401, 401], host)
            check_equal(ask(http.client.HTTPConnection(host, port), "/livez"), 200, f"livez at {host}")
        check_equal(ask(Connection(server.path("door")), "/v1/policy"), 200, "the unix socket, named by admin-listen")
        code, out, errors = run_relay("policy", "--admin-socket", "door", "--json", cwd=server.directory)
        check_equal((code, "revision" in out), (0, True), errors)
        check("client=127.0.0.1:" in server.log() and "client=[::1]:" in server.log(), server.log())


@test
def wrong_keys_of_one_address_are_told_so_often_and_right_ones_go_on():
    port = free_port()
    with Server(USERDB, f"admin-listen=127.0.0.1:{port}") as server:
        key, connection = operator_key(server), http.client.HTTPConnection("127.0.0.1", port)
        answers = [call(connection, "GET", "/v1/policy", key="rk_0.x") for _ in range(40)]
        check({401, 429} == {status for status, _, _ in answers}, [status for status, _, _ in answers])
        check_equal({headers["Retry-After"] for status, _, headers in answers if status == 429}, {"1"}, "when to come again")
        check_equal(call(connection, "GET", "/v1/policy", key=key)[0], 200, "a right key")
        connection.close()


def subject(server, port):
    context = ssl.create_default_context(cafile=server.path(AUTHORITY))
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
        return tls.getpeercert()["serialNumber"], tls.version()


def await_line(server, text):
    wait_for(lambda: text in server.log(), SOON_S, f"{text} in the log")


@test
def the_certificate_is_exchanged_and_who_is_connected_stays():
    port, other = free_port(), free_port()
    with Server(USERDB, f"admin-listen=127.0.0.1:{port}", "admin-listen=unix:door", f"admin-listen=127.0.0.1:{other}",
                "admin-cert=cert.pem", "admin-pkey=key.pem", tls=True) as server:
        key = operator_key(server)
        context = ssl.create_default_context(cafile=server.path(AUTHORITY))
        held = http.client.HTTPSConnection("localhost", port, context=context)
        check_equal(call(held, "GET", "/v1/policy", key=key)[0], 200, "over TLS")
        first, version = subject(server, port)
        check_equal(version, "TLSv1.3", "the version")
        with open(server.path("cert.pem"), "r+", encoding="ascii") as file:
            kept = file.read()
            file.seek(0)
            file.write("no certificate")
            file.truncate()
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "admin_certificate_kept")
        check_equal(subject(server, port)[0], first, "the certificate after a bad one")
        with open(server.path("cert.pem"), "w", encoding="ascii") as file:
            file.write(kept)
        make_certificate(server.directory)
        server.process.send_signal(signal.SIGHUP)
        await_line(server, "admin_certificate_loaded")
        second = subject(server, port)[0]
        check(second != first and subject(server, other)[0] == second, "the old certificate is still shown")
        check_equal(call(held, "GET", "/v1/policy", key=key)[0], 200, "on the connection that was there")
        held.close()
        with Follower(server, last="0-0", type="certificate") as events:
            while events.next("certificate.expiring")["data"]["file"] != "cert.pem":
                pass  # that of TURN has its path
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        with socket.create_connection(("127.0.0.1", port)) as plain:
            try:
                old.wrap_socket(plain)
                check(False, "TLS 1.1 was taken")
            except (ssl.SSLError, ConnectionError):
                pass


@test
def no_peer_is_reached_at_the_door():
    port, other = free_port(), socket.create_server(("127.0.0.1", 0))
    with Server(USERDB, f"admin-listen=127.0.0.1:{port}") as server, server.client("tcp") as client:
        client.relayed(protocol=stun.TCP)
        check_equal(client.connect_peer(("127.0.0.1", port)).code, 403, "Connect to the door")
        check_equal(client.connect_peer(other.getsockname()).code, 0, "Connect to another port there")
    other.close()


@test
def one_address_cannot_take_all_connections_and_other_places_go_on():
    port, most = free_port(), 192
    with Server(USERDB, f"admin-listen=127.0.0.1:{port}", "admin-listen=unix:door") as server, contextlib.ExitStack() as held:
        for _ in range(most):
            held.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(b"GET /livez HTTP/1.1\r\n")
        wait_for(lambda: is_closed(port), what="the end of one connection too many")
        check_equal(ask(Connection(server.path("door")), "/livez"), 200, "at the unix socket")
        held.close()
        wait_for(lambda: not is_closed(port), what="a place for another")


def is_closed(port):
    """Whether a connection to it is ended without a word."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.settimeout(0.2)
        with contextlib.suppress(OSError):
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n")
            return one.recv(64) == b""
        return True


@test
def what_would_be_open_to_others_or_says_two_things_is_refused_at_the_start():
    with Server() as server:
        certificate, key = make_certificate(server.directory, "door-")
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        turn, base = free_port(), ("listening-ip=127.0.0.1", "userdb=x.db", "realm=x")
        cases = ((("admin-listen=192.0.2.1:8080",), "admin-listen: 192.0.2.1:8080 is not of this machine alone", "add admin-cert=FILE and admin-pkey=FILE"),
                 (("admin-listen=0.0.0.0:8080",), "is not of this machine alone", "listen on 127.0.0.1"),
                 (("admin-listen=[::]:8080",), "is not of this machine alone", "127.0.0.1"),
                 (("admin-listen=127.0.0.1",), "neither ADDRESS:PORT", "unix:PATH"),
                 (("admin-listen=localhost:8080",), "neither ADDRESS:PORT", ""),
                 (("admin-listen=127.0.0.1:0",), "neither ADDRESS:PORT", ""),
                 (("admin-listen=unix:",), "neither ADDRESS:PORT", ""),
                 ((f"listening-port={turn}", f"admin-listen=127.0.0.1:{turn}"), f"clients of TURN come to port {turn}", "choose another"),
                 (("admin-listen=127.0.0.1:8080", "admin-listen=127.0.0.1:8080"), "was said before", ""),
                 (("admin-socket=a", "admin-listen=unix:b"), "there is one unix socket, and admin-socket says a", "leave one of them out"),
                 (("admin-listen=127.0.0.1:8080", f"admin-cert={certificate}"), "admin-cert: needs admin-pkey", ""),
                 (("admin-listen=127.0.0.1:8080", f"admin-pkey={key}"), "admin-pkey: needs admin-cert", ""),
                 (("admin-listen=unix:a", f"admin-cert={certificate}", f"admin-pkey={key}"), "admin-cert: is of no use without an address", ""),
                 (("admin-listen=127.0.0.1:8080", "admin-cert=nowhere.pem", f"admin-pkey={key}"), "admin-cert: nowhere.pem cannot be read", ""),
                 ((f"admin-listen=127.0.0.1:{free_port()}", f"admin-cert={key}", f"admin-pkey={key}"), "admin-cert: ", "key.pem"),
                 ((f"admin-listen=127.0.0.1:{port}",), f"admin-listen: 127.0.0.1:{port}: another program listens there", ""))
        for lines, said, way_out in cases:
            with open(server.path("wrong.conf"), "w", encoding="utf-8") as file:
                file.write("\n".join((*base, *(() if any("listening-port" in line for line in lines) else (f"listening-port={turn}",)), *lines)) + "\n")
            code, _, errors = run_relay("-c", "wrong.conf", cwd=server.directory)
            check(code == 1 and said in errors and way_out in errors and "wrong.conf:" in errors, f"{lines}: {code} {errors}")
        taken.close()
        for lines in (("admin-socket=a", "admin-listen=unix:a"), ("admin-listen=unix:a", "admin-listen=unix:a"),
                      ("admin-listen=0.0.0.0:8080", f"admin-cert={certificate}", f"admin-pkey={key}")):
            code, out, errors = run_relay(*(f"--{line}" for line in (*base, f"listening-port={turn}", *lines)), "--check-config", cwd=server.directory)
            check_equal((code, out.count("\nadmin ")), (0, 1), f"{lines}: {errors} {out}")


main()
