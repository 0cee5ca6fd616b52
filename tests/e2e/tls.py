"""The front door: certificates by name and by kind of key, new ones without a restart, ALPN, and DTLS that owes strangers nothing."""
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import time

from support import stun
from support.client import Client
from support.openssl import DtlsClient, der, s_client, shown
from support.server import SANITIZED, Server, make_certificate, run_relay
from support.tap import check, check_equal, main, measuring, skip, smoke, test, wait_for

PATIENT = True

HELLOS, PORTS = 30000, 1000
GROWTH_KB = 32 * 1024
AT_ONCE, GOES_KB = 300, 8  # of what a handshake took


class Shop(Server):
    """A server with certificates of its own: rows are (prefix of the files, names, whether it is RSA)."""

    def __init__(self, *rows, lines=(), **how):
        super().__init__(*lines, tls=True, **how)
        self.files = {"": (self.certificate, self.path("key.pem"))}
        with open(self.config, "a", encoding="utf-8") as config:
            for prefix, names, rsa in rows:
                cert, key = self.files[prefix] = make_certificate(self.directory, prefix, names, rsa)
                config.write(f"cert={cert}\npkey={key}\n")

    def sees(self, name=None, arguments=(), dtls=False):
        """The prefix of the certificate that a client is shown; None if there is no handshake."""
        got = shown(self, *arguments, name=name, dtls=dtls)
        return next((prefix for prefix, (cert, _) in self.files.items() if got and der(cert) == got), None)

    def peer(self, name="localhost"):
        """The certificate of a quick handshake over TLS, as DER."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.host, self.tls_port), 5) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
            return secure.getpeercert(binary_form=True)

    def renew(self, prefix="", **how):
        """Another certificate in the same files."""
        make_certificate(self.directory, prefix, **how)

    def signal(self, number=signal.SIGHUP):
        self.process.send_signal(number)


@smoke
def the_name_that_is_asked_for_chooses_the_certificate():
    with Shop(("net-", "DNS:*.example.net", False), ("exact-", "DNS:turn.example.net", False), threads=2) as server:
        for dtls in (False, True):
            for name, want in ((None, ""), ("localhost", ""), ("a.example.net", "net-"), ("TURN.example.net", "exact-"),
                               ("a.b.example.net", ""), ("unknown.example", "")):
                check_equal(server.sees(name, dtls=dtls), want, f"the certificate for {name} over {'DTLS' if dtls else 'TLS'}")


@test
def rsa_and_ecdsa_stand_side_by_side():
    with Shop(("rsa-", "DNS:localhost", True), ("only-", "DNS:only.example.net", False)) as server:
        for dtls, version in ((False, "-tls1_2"), (False, "-tls1_3"), (True, None)):
            for algorithms, name, want in (("ECDSA+SHA256", "localhost", ""), ("RSA+SHA256:RSA-PSS+SHA256", "localhost", "rsa-"),
                                           ("RSA+SHA256:RSA-PSS+SHA256", "elsewhere", "rsa-"), ("ECDSA+SHA256", None, ""),
                                           ("RSA+SHA256:RSA-PSS+SHA256", "only.example.net", None)):
                got = server.sees(name, ["-sigalgs", algorithms, *([version] if version else [])], dtls=dtls)
                check_equal(got, want, f"the certificate for {algorithms} and {name}, {version or 'DTLS'}")


@test
def the_suites_are_those_of_rfc_8489_but_for_what_bcp_195_advises_against():
    with Shop(("rsa-", "DNS:rsa.example.net", True)) as server:
        for suite, served in (("ECDHE-RSA-AES128-GCM-SHA256", True), ("DHE-RSA-AES128-GCM-SHA256", False), ("AES128-GCM-SHA256", False),
                              ("ECDHE-RSA-AES128-SHA256", False)):
            for dtls in (False, True):
                how = ["-cipher", suite, *([] if dtls else ["-tls1_2"])]
                check_equal(server.sees("rsa.example.net", how, dtls), "rsa-" if served else None, f"the certificate with {suite}")


@smoke
def certificates_are_read_anew_on_sighup_and_sigusr2_and_connections_live_on():
    with Shop(("net-", "DNS:*.example.net", False), threads=2) as server, server.client("tls") as old, DtlsClient(server) as old_dtls:
        old.relayed()
        old_dtls.relayed()
        for number in (signal.SIGHUP, signal.SIGUSR2):
            before = server.peer()
            server.renew()
            server.renew("net-", names="DNS:*.example.net")
            check_equal(server.peer(), before, "the certificate before the signal")
            server.signal(number)
            wait_for(lambda: server.peer() == der(server.certificate), what=f"the new certificate after signal {number}")
            check_equal(server.sees("a.example.net"), "net-", "the other name's certificate")
            check_equal(server.sees("localhost", dtls=True), "", "the certificate over DTLS")
            for client in (old, old_dtls):
                check_equal(client.refresh(600).code, 0, f"a Refresh over the old {client.transport} connection")
        check(" certificates_loaded count=2" in server.log(), "the log does not say so")


@test
def a_session_is_resumed_and_after_a_reload_it_is_not():
    """New keys for tickets come with new certificates; every hour they come by themselves."""
    with Shop() as server:
        context = ssl.create_default_context(cafile=server.certificate)

        def resumed(session=None):
            with socket.create_connection((server.host, server.tls_port), 5) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
                secure.sendall(stun.build(stun.BINDING))
                check(secure.recv(2048), "no answer") # with it comes the ticket of TLS 1.3
                return secure.session_reused, secure.session

        _, session = resumed()
        check(resumed(session)[0], "the session was not resumed")
        server.signal()
        wait_for(lambda: "certificates_loaded" in server.log(), what="the reload")
        check(not resumed(session)[0], "a ticket outlived its key")


@smoke
def a_bad_file_keeps_the_old_certificates_and_is_named():
    with Shop(("net-", "DNS:*.example.net", False)) as server:
        good, key = server.peer(), server.path("net-key.pem")
        shutil.copy(key, server.path("kept.pem"))
        server.renew() # of the first pair: it must not be taken up alone
        for number, spoil in enumerate((lambda: os.truncate(key, 50), lambda: shutil.copy(server.path("key.pem"), key), lambda: os.remove(key)), 1):
            spoil()
            server.signal()
            wait_for(lambda many=number: len(re.findall(r" certificates_kept option=pkey reason=\".*/net-key\.pem: ", server.log())) == many,
                     what="a line that names the file")
            check_equal(server.peer(), good, "the certificate after a bad reload")
        shutil.copy(server.path("kept.pem"), key)
        server.signal()
        wait_for(lambda: server.peer() == der(server.certificate), what="the new certificate when all is well")


@test
def a_hundred_reloads_cost_nothing():
    with Shop(threads=2) as server:
        other, _ = make_certificate(server.directory, "other-")
        pairs = [(server.path("a-cert"), server.path("a-key")), (other, server.path("other-key.pem"))]
        shutil.copy(server.certificate, pairs[0][0])
        shutil.copy(server.path("key.pem"), pairs[0][1])

        def reload(times):
            for number in range(times):
                cert, key = pairs[number % 2]
                shutil.copy(cert, server.certificate)
                shutil.copy(key, server.path("key.pem"))
                server.signal(signal.SIGUSR2)
                wait_for(lambda want=der(cert): server.peer() == want, what=f"certificate {number}")

        reload(20)
        before, files = server.resident_kb(), len(os.listdir(f"/proc/{server.process.pid}/fd"))
        reload(10 if SANITIZED else 100)
        wait_for(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= files, what="as many descriptors as before")
        grown = server.resident_kb() - before
        check(SANITIZED or grown < 2048, f"{grown} kB more")


@test
def without_privileges_a_key_out_of_reach_is_told_at_start_and_at_reload():
    if os.geteuid() != 0:
        skip("becoming another user needs root")
    server = Shop(lines=["proc-user=nobody"])
    os.chmod(server.directory, 0o755)
    os.chmod(server.certificate, 0o644)
    os.chmod(server.path("key.pem"), 0o600)
    with server:
        check(re.search(r" certificate file=\".*/key\.pem\" reason=\"cannot be read again, as proc-user", server.log()), "no warning at start")
        check("cert.pem" not in server.log(), "a warning about what can be read")
        good = server.peer()
        server.signal()
        wait_for(lambda: re.search(r" certificates_kept option=pkey reason=\".*/key\.pem: Permission denied\"", server.log()), what="the reason")
        check_equal(server.peer(), good, "the certificate")


@test
def a_pair_that_does_not_fit_ends_the_start_with_its_line_and_an_old_one_warns():
    server = Shop(("net-", "DNS:*.example.net", False), ("rsa-", "DNS:localhost", True))
    with open(server.config, encoding="utf-8") as file:
        lines = file.read().splitlines()
    row = 1 + next(number for number, line in enumerate(lines) if line.startswith("pkey=") and "net-" in line)
    shutil.copy(server.path("rsa-key.pem"), server.path("net-key.pem"))
    for more in ([], ["--check-config"]):
        code, _, errors = run_relay("-c", server.config, *more, cwd=server.directory)
        check(code == 1 and re.search(rf":{row}: pkey: .*net-key\.pem: of another kind", errors), f"{code}: {errors}")
    cert, key = make_certificate(server.directory, "net-", "DNS:*.example.net")
    subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert], check=True, capture_output=True)
    code, printed, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
    check_equal(code, 0, f"the exit code ({errors})")
    check(re.search(rf"warning: .*:{row - 1}: cert: .*net-cert\.pem has expired", errors), errors)
    check(len(re.findall(r"^certificate ", printed, re.M)) == 3, printed)


ALPN_POLICY = """
return {route = function(req) return relay.tenant("t", {realm = req.sni .. "/" .. (req.alpn or "")}) end}
"""


@smoke
def alpn_is_answered_when_it_is_ours_and_policies_see_it():
    """Firefox offers webrtc alone: that is ignored and the handshake goes on (RFC 7443 has the two labels)."""
    with Server(tls=True, files={"alpn.lua": ALPN_POLICY}, policies=["alpn.lua"]) as server:
        for offered, want in (("stun.turn", "stun.turn"), ("stun.nat-discovery", "stun.nat-discovery"), ("webrtc,stun.turn", "stun.turn"),
                              ("webrtc", ""), ("h2,http/1.1", ""), (None, "")):
            how = ["-alpn", offered] if offered else []
            for dtls in (False, True):
                told = re.search(r"ALPN protocol: (\S+)", s_client(server, *how, dtls=dtls))
                check_equal(told[1] if told else "", want, f"the protocol for {offered}")
            with DtlsClient(server, *how, sni="turn.example.org") as client:
                check_equal(client.challenge().text(stun.REALM), f"turn.example.org/{want}", "what the policy saw over DTLS")
            with TlsClient(server, offered) as client:
                check_equal(client.challenge().text(stun.REALM), f"localhost/{want}", "what the policy saw over TLS")


class TlsClient(Client):
    def __init__(self, server, offered):
        self.offered = offered.split(",") if offered else []
        super().__init__(server, "tls")

    def connect(self, server, local, sni):
        context = ssl.create_default_context(cafile=server.certificate)
        if self.offered:
            context.set_alpn_protocols(self.offered)
        return context.wrap_socket(socket.create_connection(self.server, 5), server_hostname=sni)


@smoke
def dtls_is_1_2_and_nothing_older():
    with Server(tls=True) as server:
        check("DTLSv1.2" in s_client(server, dtls=True), "no DTLS 1.2")
        check("Cipher is (NONE)" in s_client(server, "-dtls1", "-cipher", "ALL:@SECLEVEL=0"), "DTLS 1.0 is spoken")


def client_hello(random, cookie=b""):
    """The start of a handshake as DTLS 1.2 has it (RFC 6347 section 4.2): enough for the server to ask for a cookie."""
    body = b"\xfe\xfd" + random + b"\0" + bytes([len(cookie)]) + cookie + b"\0\2\xc0\x2b\1\0"
    message = b"\1" + len(body).to_bytes(3, "big") + b"\0\0\0\0\0" + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xff" + bytes(8) + struct.pack("!H", len(message)) + message


def cookie_of(answer):
    """The cookie in a HelloVerifyRequest; None if it is none."""
    return answer[28:] if answer and answer[:1] == b"\x16" and answer[13:14] == b"\3" and len(answer) == 28 + answer[27] else None


def median_rtt(client, times):
    """Milliseconds of Binding requests."""
    taken = []
    for _ in range(times):
        start = time.monotonic()
        check(client.binding().kind == stun.SUCCESS, "no answer")
        taken.append(1000 * (time.monotonic() - start))
    return statistics.median(taken)


@measuring
@test
def thirty_thousand_hellos_without_a_cookie_cost_no_memory_and_nobody_waits():
    with Server(tls=True) as server, server.client() as other, contextlib.ExitStack() as held:
        ports = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(PORTS)]
        for port in ports:
            port.connect((server.host, server.tls_port))
            port.setblocking(False)
        median_rtt(other, 50)
        before, number, answers, rtts = server.resident_kb(), 0, 0, []
        while number < HELLOS:
            for port in ports:
                with contextlib.suppress(OSError):
                    port.send(client_hello(struct.pack("!Q", number) * 4, b"no cookie of it." if number % 2 else b""))
                number += 1
                if number % 50 == 0:
                    rtts.append(median_rtt(other, 1))
            for port in ports:
                with contextlib.suppress(BlockingIOError):
                    while cookie_of(port.recv(2048)):
                        answers += 1
        grown = server.resident_kb() - before
        print(f"# {answers} of {number} asked for a cookie, {grown} kB more, median round trip {statistics.median(rtts):.2f} ms")
        check(answers > HELLOS // 2, f"only {answers} HelloVerifyRequests")
        check(SANITIZED or grown < GROWTH_KB // 8, f"{grown} kB more")
        check(statistics.median(rtts) < 5, f"others wait {statistics.median(rtts):.1f} ms")
        with DtlsClient(server) as client:
            check(client.relayed(), "no allocation over DTLS after the flood")


def handshakes_at_once(stack, server, count):
    """All have been answered before the first one goes on."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    begun = []
    for _ in range(count):
        plain = stack.enter_context(socket.create_connection((server.host, server.tls_port), 5))
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(come, go)
        with contextlib.suppress(ssl.SSLWantReadError):
            secure.do_handshake()
        plain.sendall(go.read())
        begun.append((plain, secure, come, go))
    for plain, _, come, _ in begun:
        come.write(plain.recv(4096))
    for plain, secure, come, go in begun:
        done = False
        while not done:
            try:
                secure.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                come.write(plain.recv(4096))
        plain.sendall(go.read())


@measuring
@test
def what_many_handshakes_took_goes_back_while_their_connections_stay():
    with Shop() as server, contextlib.ExitStack() as stack:
        handshakes_at_once(stack, server, AT_ONCE)
        most = server.resident_kb()
        wait_for(lambda: most - server.resident_kb() >= AT_ONCE * GOES_KB, 5, f"the memory back, of {most} KiB")


@smoke
def a_cookie_is_good_for_its_own_address_and_random_alone():
    with Server(tls=True) as server, contextlib.ExitStack() as held:
        one, other = (held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        for port in (one, other):
            port.settimeout(5)
            port.connect((server.host, server.tls_port))

        def ask(port, hello):
            port.send(hello)
            return port.recv(2048)

        random = b"r" * 32
        answer = ask(one, client_hello(random))
        cookie = cookie_of(answer)
        check(cookie and len(answer) < len(client_hello(random)), "the request for a cookie is longer than the hello")
        check(cookie_of(ask(other, client_hello(random, cookie))), "another port's cookie was taken")
        check(cookie_of(ask(one, client_hello(b"s" * 32, cookie))), "the cookie of another random was taken")
        check(cookie_of(ask(one, client_hello(random, cookie[:-1] + bytes([cookie[-1] ^ 1])))), "a wrong cookie was taken")
        check(cookie_of(ask(one, client_hello(random, cookie[:8]))), "half a cookie was taken")
        one.send(client_hello(random, cookie))
        check(not cookie_of(ask(one, stun.build(stun.BINDING))), "the right cookie was not taken")


if __name__ == "__main__":
    main()
