"""The relay as a process: signals, what it gives away, the command line that explains itself, what it costs."""
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from support import stun
from support.client import Peer, transport
from support.server import BINARY, ROOT, SANITIZED, START_S, Server, run_relay
from support.tap import check, check_equal, main, measuring, skip, smoke, test, wait_for

PATIENT = True

SECRETS = ["hunter2", "correct-horse", "0x00112233445566778899aabbccddeeff"]


@smoke
def sigterm_and_sigint_end_it_with_0_while_it_relays():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(threads=2) as server, server.client() as client, server.client("tcp") as other, Peer() as peer:
            client.relayed()
            other.relayed()
            client.bind(0x4000, peer.address)
            for _ in range(1000):
                client.send_channel(0x4000, b"x" * 100)
            process, server.process = server.process, None
            process.send_signal(number)
            check_equal(process.wait(20 if SANITIZED else 5), 0, f"the exit code after signal {number}")


@test
def a_signal_while_it_starts_is_kept_until_it_serves():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        server = Server("userdb=relay.db", "pidfile=relay.pid")
        with contextlib.closing(sqlite3.connect(server.path("relay.db"), isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            process = subprocess.Popen([BINARY, "-c", server.config], cwd=server.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for(lambda at=server.path("relay.pid"): os.path.exists(at), what="the pid file")
            process.send_signal(number)
            database.execute("ROLLBACK")
        try:
            if number in (signal.SIGHUP, signal.SIGUSR2):
                wait_for(server.answers, limit_s=START_S, what=f"a server that outlived signal {number}")
                process.terminate()
            check_equal(process.wait(START_S), 0, f"the exit code after signal {number}")
        finally:
            process.kill()
            process.wait()
        check(not os.path.exists(server.path("relay.pid")), f"signal {number} left the pid file")


@test
def after_rotation_sighup_opens_the_log_anew_and_disturbs_nobody():
    with Server("log-file=relay.log", threads=2) as server, server.client() as client, Peer() as peer:
        client.relayed()
        client.bind(0x4000, peer.address)
        log, rotated = server.path("relay.log"), server.path("relay.log.1")
        os.rename(log, rotated)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: os.path.exists(log), what="a new log")
        with server.client(password="wrong") as bad:
            check_equal(bad.allocate().code, 401, "a wrong password")
        with open(log, encoding="utf-8") as new, open(rotated, encoding="utf-8") as old:
            check("auth_failed" in new.read() and "auth_failed" not in old.read(), "the line is not in the new log")
        client.send_channel(0x4000, b"still here")
        check_equal(peer.receive()[0], b"still here", "what the peer got")


@test
def no_secret_is_in_the_log_or_the_process_list():
    auth = ["lt-cred-mech", f"user=ann:{SECRETS[0]}", "use-auth-secret", f"static-auth-secret={SECRETS[1]}", f"user=bob:{SECRETS[2]}"]
    server = Server("verbose", "userdb=relay.db", auth=auth)
    server.arguments = [f"--user=zoe:{SECRETS[0]}z"]
    with server, server.client(password=SECRETS[0]) as good, server.client(password="guess-me-not") as bad:
        check_equal((good.allocate().code, bad.allocate().code), (0, 401), "the codes")
        told = server.log()
        for name in ("status", "comm", "cmdline"):
            with open(f"/proc/{server.process.pid}/{name}", encoding="utf-8") as file:
                told += file.read()
        key = stun.key_of("ann", "example.org", SECRETS[0]).hex()
        for secret in [*SECRETS, SECRETS[2][2:], key, "guess-me-not"]:
            check(secret not in told, f"{secret} is in the log or the process list")


@test
def nothing_a_client_sends_can_forge_a_line_of_the_log():
    with Server("verbose") as server:
        for name in ("x\nFORGED line", "x\r\nFORGED", "\x1b[31mFORGED", "%s%n%x FORGED", "x\0FORGED", "\u2028FORGED", "FORGED" * 80):
            with server.client(username=name) as client:
                check(client.allocate().code in (400, 401), f"{name[:20]!r} was not refused")
        log = server.log()
        check(not re.search(r"^FORGED", log, re.M) and not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u2028]", log), f"forged: {log!r}")


@test
def nothing_a_client_sends_can_forge_a_field_of_the_log():
    policy = "return {route = function(req) return relay.tenant(req.origin) end}"
    with Server(files={"origin.lua": policy}, policies=["origin.lua"]) as server:
        with server.client(password="wrong", origin="x code=0 user=root") as client:
            check_equal(client.allocate().code, 401, "a wrong password")
        line, = [line for line in server.log().splitlines() if " auth_failed " in line]
        fields = re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", line))
        check_equal(sorted(fields), sorted(set(fields)), f"the fields of {line!r}")


@test
def help_the_manual_page_and_the_readme_agree():
    code, text, _ = run_relay("--help")
    check_equal(code, 0, "the exit code of --help")
    code, page, _ = run_relay("--manual-page")
    check_equal(code, 0, "the exit code of --manual-page")
    plain = re.sub(r"\\f[A-Z]|\\&", "", page).replace("\\-", "-")
    options = set(re.findall(r"--([a-z][a-z-]+)", text))
    check(len(options) > 40, f"--help names only {sorted(options)}")
    missing = {option for option in options if f"--{option}" not in plain and not re.search(rf"\b{option}\b", plain)}
    check(not missing, f"the manual page lacks {missing}")
    for option in ("listening-port", "static-auth-secret", "policy", "set", "total-quota", "userdb", "denied-peer-ip"):
        check(option in options, f"--help lacks {option}")
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as file:
        targets = set(re.findall(r"^([a-z0-9-]+(?: [a-z0-9-]+)*):", file.read(), re.M))
    targets = {word for group in targets for word in group.split()}
    said = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", "\n".join(re.findall(r"relay[^\n`]*", readme))))
    subcommands = {"userdb", "realm", "password-stdin", "tenant", "from", "to"}
    check(said <= options | subcommands, f"the README names options that --help does not: {said - options - subcommands}")
    made = set(re.findall(r"\bmake ([a-z]+)\b", readme)) & {word for word in re.findall(r"`make ([a-z]+)`", readme)}
    check(made <= targets, f"the README names targets that the Makefile lacks: {made - targets}")


@test
def the_manual_page_is_well_formed():
    _, page, _ = run_relay("--manual-page")
    check(page.startswith(".TH ") or "\n.TH " in page, "there is no .TH")
    for section in ("NAME", "SYNOPSIS", "OPTIONS"):
        check(re.search(rf'^\.SH "?{section}', page, re.M), f"there is no section {section}")
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", "-Tutf8", "-"], input=page, capture_output=True, text=True,
                              env={**os.environ, "MANPAGER": "cat"})
        check(not done.stderr.strip(), f"man warns: {done.stderr}")


@test
def the_version_is_told():
    code, text, _ = run_relay("--version")
    check(code == 0 and re.search(r"\d+\.\d+\.\d+", text), f"{code}: {text!r}")


@measuring
@test
def fifty_thousand_strangers_cost_no_memory():
    request = stun.build(stun.ALLOCATE, [transport(stun.UDP)])

    def come(server, count):
        for number in range(count):
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
                stranger.bind((f"127.{number % 200 + 1}.{number // 200 % 200}.1", 0))
                stranger.sendto(request, (server.host, server.port))

    with Server() as server:
        server.process.send_signal(signal.SIGSTOP)
        come(server, 1000)  # who wait for it, so that it uses all that a batch has
        server.process.send_signal(signal.SIGCONT)
        with server.client() as client:
            check_equal(client.allocate().code, 0, "an Allocate before")
        before = server.resident_kb()
        come(server, 50000)
        with server.client() as client:
            check_equal(client.allocate().code, 0, "an Allocate afterwards")
        grown = server.resident_kb() - before
        check(grown < 256 or SANITIZED, f"50,000 strangers cost {grown} kB")


def hold(server, count):
    """So many allocations, each with a permission and a channel, and what they cost in kB."""
    before, clients = server.resident_kb(), []
    for _ in range(count):
        client = server.client()
        client.relayed()
        client.bind(0x4000, ("127.0.0.1", 9))
        clients.append(client)
    return clients, server.resident_kb() - before


def release(clients):
    for client in clients:
        client.refresh(0)
        client.close()


@measuring
@test
def what_two_thousand_allocations_hold_is_little_and_goes_back():
    count = 2000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit[0], min(2 * count, limit[1])), limit[1]))
    with Server(ports=4096) as server:
        release(hold(server, count)[0])  # what is of fixed size has been used: answers that may be wanted again
        wait_for(lambda: server.descriptors() < 200, 3, "closed sockets")
        before = server.resident_kb()
        clients, grown = hold(server, count)
        check(grown * 1024 / count < 1400 or SANITIZED, f"each costs {grown * 1024 / count:.0f} bytes")
        release(clients)
        wait_for(lambda: server.resident_kb() - before < 512 or SANITIZED, 5, "the memory back")


@measuring
@test
def allocations_come_and_go_without_a_leak():
    def round_of(server, count):
        for _ in range(count):
            with server.client() as client:
                check_equal(client.allocate().code, 0, "the Allocate")
                client.bind(0x4000, ("127.0.0.1", 9))
                client.refresh(0)

    with Server("total-quota=1") as server:
        round_of(server, 300)
        before, files = server.resident_kb(), server.descriptors()
        round_of(server, 1500)
        wait_for(lambda: server.descriptors() <= files + 2, 3, "as many open files as before")
        grown = server.resident_kb() - before
        check(grown < 2048 or SANITIZED, f"1500 allocations left {grown} kB")


@measuring
@test
def an_idle_relay_uses_no_processor():
    with Server(threads=2) as server, server.client() as client:
        client.relayed()

        def ticks():
            with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        time.sleep(1)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        check(used < 0.05 or SANITIZED, f"{used:.2f} s of processor time in one idle second")


@test
def it_drops_its_privileges_and_writes_its_pid():
    if os.geteuid() != 0:
        skip("only root can become someone else")
    server = Server("proc-user=nobody", "proc-group=nogroup", "pidfile=relay.pid")
    os.chmod(server.directory, 0o777)
    with server:
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            status = file.read()
        check(re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534", status, re.M), f"the user is still {re.search('Uid:.*', status)[0]}")
        check(re.search(r"^CapEff:\s+0+$", status, re.M), f"capabilities are left: {re.search('CapEff:.*', status)[0]}")
        with open(server.path("relay.pid"), encoding="ascii") as file:
            check_equal(int(file.read()), server.process.pid, "the pid in the file")
        with server.client() as client:
            check_equal(client.allocate().code, 0, "the Allocate")


if __name__ == "__main__":
    main()
