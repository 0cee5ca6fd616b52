"""How the relay starts and does not: every mistake ends the start with exit 1 and `file:line: option: reason`, and leaves nothing running."""
import contextlib
import os
import re
import socket
import time

from support import stun
from support.client import NoAnswer
from support.server import ROOT, SANITIZED, Server, free_port, run_relay
from support.tap import check, check_equal, main, measuring, smoke, test, wait_for

PATIENT = True

EXAMPLE = os.path.join(ROOT, "examples", "turnserver.conf")

# a wrong line, and what the message must say besides the option's name
WRONG = [
    ("listening-prot=3478", "listening-port"),
    ("lt-cred-mec", "lt-cred-mech"),
    ("alow-loopback-peers", "allow-loopback-peers"),
    ("totl-quota=5", "total-quota"),
    ("xyzzy=1", "no such option"),
    ("listening-port=0", ""),
    ("listening-port=65536", ""),
    ("listening-port=http", ""),
    ("listening-port=3478x", ""),
    ("listening-port", ""),
    ("listening-ip=300.1.2.3", ""),
    ("listening-ip=localhost", ""),
    ("listening-ip=203.0.113.99", ""),
    ("relay-ip=example.org", ""),
    ("relay-ip=0.0.0.0", ""),
    ("external-ip=1.2.3", ""),
    ("total-quota=-1", ""),
    ("total-quota=many", ""),
    ("total-quota=99999999999", ""),
    ("max-allocate-lifetime=1h", ""),
    ("channel-lifetime=0", ""),
    ("stale-nonce=never", ""),
    ("denied-peer-ip=10.0.0.0/33", ""),
    ("denied-peer-ip=10.0.0.9-10.0.0.1", ""),
    ("allowed-peer-ip=10.0.0.0-", ""),
    ("allowed-peer-ip=::1-10.0.0.1", ""),
    ("user=nobody", ""),
    ("user=:secret", ""),
    ("user=bob:0x12", ""),
    ("user=bob:0xzz0102030405060708090a0b0c0d0e0f", ""),
    ("relay-threads=1000", ""),
    ("relay-threads=two", ""),
    ("fingerprint=maybe", ""),
    ("no-tls=perhaps", ""),
    ("set=quota.user=4", ""),
    ("policy=missing.lua", "missing.lua"),
    ("userdb=missing/relay.db", "missing"),
    ("log-file=missing/log", "missing"),
    ("pidfile=missing/pid", "missing"),
    ("proc-user=nobody-of-that-name", ""),
    ("proc-group=nobody-of-that-name", ""),
]


def expect_refused(server, option, *said, arguments=()):
    code, _, errors = run_relay("-c", server.config, *arguments, cwd=server.directory, limit_s=20 if SANITIZED else 5)
    check_equal(code, 1, f"the exit code for {option} ({errors.strip()})")
    line = next((line for line in errors.splitlines() if f" {option}: " in line), None)
    check(line, f"no line `place: {option}: reason` but: {errors}")
    for text in said:
        check(text in line, f"{line!r} does not say {text!r}")
    check("secret" not in errors.replace("static-auth-secret", "").replace("use-auth-secret", ""), f"a secret is in {errors}")
    expect_nothing_listens(server)
    return line


def expect_nothing_listens(server):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind((server.host, server.port))


@test
def a_wrong_line_is_named_with_its_place_and_reason():
    for line, said in WRONG:
        option = line.split("=")[0]
        server = Server(line)
        message = expect_refused(server, option, said)
        number = len(open(server.config, encoding="utf-8").read().splitlines())
        check(re.match(rf"\S*turnserver\.conf:{number}: {re.escape(option)}: \S", message), f"{line}: the place in {message!r} is not line {number}")


@test
def all_mistakes_are_told_at_once():
    server = Server("listening-prot=1", "total-quota=x", "relay-threads=y")
    _, _, errors = run_relay("-c", server.config)
    for option in ("listening-prot", "total-quota", "relay-threads"):
        check(f" {option}: " in errors, f"nothing about {option} in {errors}")


@test
def a_wrong_option_on_the_command_line_is_named():
    server = Server()
    for argument, option in (("--total-quota=x", "total-quota"), ("--totl-quota=5", "totl-quota"), ("--policy=missing.lua", "policy")):
        line = expect_refused(server, option, arguments=[argument])
        check(line.startswith("command line: "), f"the place in {line!r}")


@test
def a_missing_configuration_file_stops_the_start():
    code, _, errors = run_relay("-c", "no/such/file.conf")
    check(code == 1 and "no/such/file.conf" in errors, f"{code}: {errors}")


@test
def min_port_above_max_port_stops_the_start():
    expect_refused(Server("min-port=60000", "max-port=50000"), "max-port")


@test
def a_missing_or_broken_certificate_stops_the_start():
    expect_refused(Server("cert=missing.pem", "pkey=missing.pem", tls=True), "cert", "missing.pem")
    server = Server(tls=True)
    with open(server.certificate, "w", encoding="ascii") as file:
        file.write("not a certificate\n")
    expect_refused(server, "cert")
    server = Server(tls=True)
    other = Server(tls=True)
    with open(server.path("key.pem"), "w", encoding="ascii") as file, open(other.path("key.pem"), encoding="ascii") as foreign:
        file.write(foreign.read())
    code, _, errors = run_relay("-c", server.config, cwd=server.directory)
    check(code == 1 and re.search(r" (cert|pkey): ", errors), f"the key of another certificate: {code}: {errors}")


@test
def a_corrupt_database_stops_the_start():
    for text in ("this is not a database, whatever its name is\n" * 50, "SQLite format 3\0" + "\xff" * 8000):
        server = Server("userdb=relay.db", files={"relay.db": text})
        expect_refused(server, "userdb", "relay.db")


@test
def a_taken_port_stops_the_start():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        server = Server()
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind((server.host, server.port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            code, _, errors = run_relay("-c", server.config, cwd=server.directory)
            check(code == 1 and str(server.port) in errors, f"{code}: {errors}")
        expect_nothing_listens(server)


@test
def a_second_server_on_the_same_port_is_refused_and_the_first_serves_on():
    with Server(threads=2) as server:
        code, _, errors = run_relay("-c", server.config, cwd=server.directory)
        check(code == 1 and str(server.port) in errors, f"{code}: {errors}")
        for _ in range(20):
            with server.client() as client:
                check_equal(client.binding().kind, stun.SUCCESS, "the answer of the first")


@test
def without_authentication_nothing_is_relayed():
    """It starts, as a STUN server, and says so."""
    with Server(auth=[]) as server:
        wait_for(lambda: "relaying=no" in server.log(), what="a line of the log that says so")
        with server.client() as client:
            check_equal(client.binding().kind, stun.SUCCESS, "a Binding")
            with contextlib.suppress(NoAnswer):
                check_equal(client.challenge().kind, stun.ERROR, "an Allocate without credentials")
        with server.client(username="", password="") as client, contextlib.suppress(NoAnswer):
            client.realm = ""
            check_equal(client.allocate(nonce="x").kind, stun.ERROR, "an Allocate with empty credentials")


@measuring
@smoke
def the_start_takes_less_than_a_second_with_every_relay_port():
    with Server("min-port=1024", "max-port=65535", threads=2) as server:
        check(server.start_s < (1 if not SANITIZED else 10), f"the start took {server.start_s:.2f} s")


@test
def options_of_coturn_without_meaning_are_one_warning_each():
    lines = ["no-cli", "cli-password=qwerty", "no-multicast-peers", "respond-http-unsupported", "simple-log", "cipher-list=DEFAULT", "ne=3"]
    with Server(*lines, "no-cli") as server:
        log = server.log()
        for option in (line.split("=")[0] for line in lines):
            said = [line for line in log.splitlines() if re.search(rf"\b{option}: ", line)]
            check_equal(len(said), 1, f"warnings about {option}\n{log}")
        check("qwerty" not in log, "the value of cli-password is in the log")


@test
def the_example_of_the_guide_runs_unchanged():
    server = Server()
    code, output, errors = run_relay("-c", EXAMPLE, "--check-config")
    check_equal(code, 0, f"--check-config of examples/turnserver.conf ({errors})")
    check("yourdomain.com" in output and "YOUR_SECRET_KEY_HERE" not in output + errors, f"what it says: {output}")
    # the file as it is; only where to listen is said besides, so that the test does not need port 3478
    server.config, server.realm = EXAMPLE, "yourdomain.com"
    server.arguments = [f"--listening-port={server.port}", f"--tls-listening-port={server.tls_port}", "--listening-ip=127.0.0.1", "--log-file=stderr",
                        "--allow-loopback-peers"]
    with server:
        username, password = stun.rest_credential("YOUR_SECRET_KEY_HERE", int(time.time()) + 60, "guide")
        with server.client(username=username, password=password) as client:
            message = client.allocate()
            check_equal((message.code, client.realm), (0, "yourdomain.com"), "the code and the realm")
            check(message.has_fingerprint(), "no fingerprint")


@test
def check_config_may_be_asked_beside_a_server_that_runs_and_writes_nothing():
    server = Server("userdb=relay.db", "log-file=relay.log", "pidfile=relay.pid", tls=True)
    before = sorted(os.listdir(server.directory))
    code, _, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
    check_equal((code, sorted(os.listdir(server.directory))), (0, before), f"the exit code and the files ({errors})")
    with server:
        code, _, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
        check_equal(code, 0, f"the exit code beside the running server ({errors})")
        with server.client() as client:
            check_equal(client.allocate().code, 0, "an Allocate after the check")
    server = Server("userdb=broken.db", files={"broken.db": "this is no database, whatever its name says\n" * 100})
    expect_refused(server, "userdb", "not a SQLite database", arguments=["--check-config"])


@test
def check_config_says_what_would_run_and_starts_nothing():
    server = Server("total-quota=77", "denied-peer-ip=8.8.8.8", threads=2)
    code, output, errors = run_relay("-c", server.config, "--check-config", cwd=server.directory)
    check_equal(code, 0, f"the exit code ({errors})")
    for text in (str(server.port), "127.0.0.1", "example.org", "77"):
        check(text in output, f"{text} is not in {output}")
    check("secret" not in output, "the password is in the output")
    expect_nothing_listens(server)
    expect_refused(Server("totl-quota=5"), "totl-quota", arguments=["--check-config"])


@test
def values_may_be_quoted_spaced_and_repeated():
    port = free_port()
    lines = ["# a remark", "", "  total-quota = 7  ", 'software="the relay"', "user-quota 3", f"listening-port={port}"]
    server = Server(*lines, auth=['user="ann:secret"', "lt-cred-mech"])
    server.port = port
    with server:
        with server.client() as client:
            check_equal(client.allocate().code, 0, "the Allocate")
            check_equal(client.binding().text(stun.SOFTWARE), "the relay", "SOFTWARE")


@test
def the_command_line_wins_over_the_file():
    server = Server("realm=one.example")
    server.arguments = ["--realm=two.example", "--user=zoe:open"]
    with server, server.client(username="zoe", password="open") as client:
        check_equal(client.allocate().code, 0, "the Allocate of zoe")
        check_equal(client.realm, "two.example", "the realm")


@measuring
@test
def every_port_of_eight_addresses_policies_and_a_database_start_in_no_time():
    addresses = [f"relay-ip=127.0.1.{number}" for number in range(1, 8)]
    with Server("min-port=1024", "max-port=65535", "userdb=relay.db", *addresses, policies=[os.path.join(ROOT, "policies", "quota.lua")],
                threads=2) as server:
        spent = 0
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            with open(f"/proc/{server.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                spent += int(file.read().split()[0])
        # processor time: the machine may be busy; a walk over half a million ports with a call for each would be over it
        check(spent < 200e6 or SANITIZED, f"the start took {spent / 1e6:.0f} ms of the processor until the first answer")
        with server.client() as client:
            check_equal(client.allocate().code, 0, "an Allocate")


if __name__ == "__main__":
    main()
