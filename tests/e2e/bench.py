"""relay bench: every load is delivered whole and leaves nothing, so that what it prints is what it says; and what it cannot do it says. Nothing is measured here."""
import contextlib
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support.server import BINARY, Server, free_port, free_range, run_relay
from support.tap import check, check_equal, main, skip, test, wait_for

PATIENT = True
ANN = ("--user", "ann", "--password", "secret")


def urls(server):
    return {"udp": f"turn:{server.host}:{server.port}", "tcp": f"turn:{server.host}:{server.port}?transport=tcp", "tls": f"turns:{server.host}:{server.tls_port}",
            "dtls": f"turns:{server.host}:{server.tls_port}?transport=udp"}


def bench(server, *arguments, user=ANN, transport="udp"):
    code, output, errors = run_relay("bench", urls(server)[transport], *user, "--insecure", "--json", *arguments)
    check_equal((code, errors), (0, ""), f"the end of {arguments}")
    return json.loads(output)


def refused(server, *arguments, user=ANN, code=1):
    ended, output, errors = run_relay("bench", f"turn:{server.host}:{server.port}", *user, *arguments)
    check_equal((ended, output), (code, ""), f"the end of {arguments} ({errors})")
    return errors


def allocations(server):
    return json.loads(server.relay("allocations", "--admin-socket", "admin", "--json"))


WAYS = [("--direction", direction, "--mode", mode) for direction in ("up", "down", "both", "pair") for mode in ("channel", "send")]
PACES = (("--window", "3"), ("--rate", "1000"), ("--rate", "1000", "--burst", "4"), ("--rate", "1000", "--burst", "4", "--gso"))


@test
def every_load_is_delivered_whole_and_leaves_nothing():
    with Server("total-quota=4", "admin-socket=admin", tls=True) as server:
        for transport in urls(server):
            for way in [*WAYS, ("--load", "binding")]:
                for pace in PACES if transport == "udp" and "binding" not in way else PACES[:1]:
                    done = bench(server, *way, *pace, "--clients", "4", "--packets", "60", transport=transport)
                    check_equal((done["transport"], done["sent"], done["delivered"], done["lost"]), (transport, 60, 60, 0), f"of {way}, {pace}")
                    check(0 < done["p50_us"] <= done["p99_us"] <= done["p999_us"], f"{way}, {pace} was as late as {done}")
                    check(done["share_least"] > 0.7, f"{way}, {pace} was shared as {done}")
            for pace in ((), ("--rate", "1000")):
                done = bench(server, "--load", "allocate", *pace, "--clients", "4", "--packets", "20", transport=transport)
                check_equal((done["delivered"], done["refused"], done["challenges"]), (20, 0, 20), f"cycles over {transport}, {pace}")
            check_equal(bench(server, "--load", "hold", "--held", "4", "--seconds", "1", transport=transport)["unreleased"], 0, f"what was held over {transport}")
        check_equal(allocations(server), [], "what is left")


def while_the_server_stands(server, *arguments):
    """What a load of a second or more has come to during which the server stood still, from 0.7 to 1.2 s after its start."""
    with subprocess.Popen([BINARY, "bench", *arguments, *ANN, "--json"], stdout=subprocess.PIPE, text=True) as running:
        time.sleep(0.7)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGCONT)
        return json.loads(running.communicate(timeout=20)[0])


@test
def what_a_stream_has_no_room_for_waits_or_is_told():
    with Server() as server:
        done = while_the_server_stands(server, urls(server)["tcp"], "--clients", "1", "--bytes", "8000", "--rate", "2500", "--packets", "4000")
        check_equal(done["delivered"] + done["unsent"], 4000, f"of {done}")
        check(done["p999_us"] > 200000, f"the server did not stand still: {done}")


@test
def what_is_late_is_waited_for():
    with Server() as server:
        for pace in (("--rate", "500", "--packets", "500"), ("--window", "2", "--seconds", "1")):
            done = while_the_server_stands(server, urls(server)["udp"], "--clients", "2", *pace)
            check(done["delivered"] == done["sent"] and done["seconds"] > 1.05, f"the last ones came when the server went on: {done}")


@test
def allocations_are_held_and_given_back_and_their_memory_is_told():
    with Server("admin-socket=admin") as server:
        command = [BINARY, "bench", f"turn:{server.host}:{server.port}", *ANN, "--load", "hold", "--held", "300", "--pid", str(server.process.pid), "--json"]
        with subprocess.Popen([*command, "--seconds", "100"], stdout=subprocess.PIPE, text=True) as held:
            wait_for(lambda: len(allocations(server)) == 300, 10, "allocations that are held")
            held.send_signal(signal.SIGINT)
            done = json.loads(held.communicate(timeout=10)[0])
        check_equal((held.returncode, done["stopped"], done["unreleased"], allocations(server)), (1, True, 0, []), "what a signal leaves")
        check(done["resident_bytes_held"] > 1 << 20, f"memory when it was stopped: {done}")
        done = json.loads(subprocess.run([*command, "--seconds", "1"], capture_output=True, check=True, text=True).stdout)
        check(0.9 < done["held_s"] < 3 and done["setup_per_s"] > 0, f"held: {done}")
        check(done["resident_bytes_held"] >= done["resident_bytes_before"] > 1 << 20, f"memory: {done}")


@test
def the_processor_time_of_the_server_is_told():
    with Server() as server:
        done = bench(server, "--pid", str(server.process.pid), "--packets", "5000")
        check(0.1 < done["cpu_us_per_packet"] < 1000, f"a packet costs {done['cpu_us_per_packet']} us")
        if done["system_calls_why"] is None:
            check(0.005 < done["system_calls_per_packet"] < 50, f"a packet costs {done['system_calls_per_packet']} system calls")
        else:
            check(done["system_calls_per_packet"] is None and re.search("tracefs|tracepoints|CAP_PERFMON", done["system_calls_why"]), f"system calls: {done}")
        done = bench(server, "--packets", "10")
        check_equal((done["cpu_us_per_packet"], done["system_calls_per_packet"], done["system_calls_why"]), (None, None, None), "the cost of nobody")


@test
def what_a_limit_of_the_server_drops_is_lost():
    with Server("max-bps=20000") as server:
        done = bench(server, "--clients", "2", "--rate", "1000", "--packets", "1000", "--bytes", "500")
        check(done["delivered"] < 900 and done["lost"] == 1000 - done["delivered"], f"delivered {done['delivered']} of {done['sent']}, lost {done['lost']}")
        check(done["loss_percent"] > 10, f"lost {done['loss_percent']} %")


@test
def a_load_that_is_not_as_it_was_asked_for_is_an_error():
    with Server("total-quota=4", peers=()) as server:
        check("486" in refused(server, "--clients", "5"), "a quota")
        check("allow-loopback-peers" in refused(server, "--clients", "1"), "a peer on loopback")
        check("401" in refused(server, user=("--user", "ann", "--password", "wrong")), "a wrong password")
        check("--user and" in refused(server, user=()), "no password")
        for arguments, reason in ((("--clients", "0"), "--clients: 1 to"), (("--bytes", "15"), "--bytes: 16 to"), (("--rate", "1", "--window", "1"), "--rate or --window"),
                                  (("--load", "sideways"), "no such one"), (("--load", "binding", "--mode", "send"), "is not for --load binding"),
                                  (("--window", "2", "--burst", "4"), "less than one burst"), (("--direction", "pair", "--clients", "3"), "an even number"),
                                  (("--pid", "0"), "is no process"), (("--peer", "here"), "--peer: an address"), (("--from", "there"), "--from: an address"),
                                  (("--held", "1"), "is not for --load relay"), (("--wndow", "3"), "did you mean --window?"), (("--rate", "1", "--rate", "2"), "is given twice")):
            check(reason in refused(server, *arguments, code=2), f"{arguments}: {refused(server, *arguments, code=2)}")
        for transport, reason in (("tcp", "Connection refused"), ("tls", "Connection refused"), ("udp", "nobody listens")):
            code, _, errors = run_relay("bench", urls(server)[transport].replace(str(server.port), str(server.tls_port)), *ANN)
            check(code == 1 and reason in errors, f"a port without a server over {transport}: {code} {errors}")
        code, _, errors = run_relay("bench", f"stun:{server.host}:{server.port}", "--load", "relay")
        check(code == 2 and "--load binding alone" in errors, f"a STUN server: {code} {errors}")


@test
def a_certificate_that_nobody_vouches_for_is_refused():
    with Server(tls=True) as server:
        code, _, errors = run_relay("bench", urls(server)["tls"], *ANN, "--packets", "4")
        check(code == 1 and "certificate" in errors and "--insecure" in errors, f"{code} {errors}")
        code, _, errors = run_relay("bench", urls(server)["tls"], *ANN, "--packets", "4", env={"SSL_CERT_FILE": server.authority})
        check_equal((code, errors), (0, ""), "with its authority")


@test
def clients_come_from_the_addresses_that_are_named():
    with Server("admin-socket=admin") as server:
        command = [BINARY, "bench", f"turn:{server.host}:{server.port}", *ANN, "--load", "hold", "--held", "4", "--from", "127.0.0.2", "--from", "127.0.0.3"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as held:
            wait_for(lambda: len(allocations(server)) == 4, 10, "allocations")
            sources = sorted(row["src"].split(":")[0] for row in allocations(server))
            held.send_signal(signal.SIGINT)
        check_equal(sources, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"], "where clients come from")


@contextlib.contextmanager
def coturn():
    """A turnserver, as (pid, URL)."""
    port, relays = free_port(), free_range(256)
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(["turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", f"--min-port={relays}", f"--max-port={relays + 255}",
                                    "--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech", "--realm=example.org", "--user=ann:secret", "--allow-loopback-peers",
                                    f"--log-file={directory}/log", "--simple-log", f"--pidfile={directory}/pid", f"--userdb={directory}/db"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: run_relay("bench", f"stun:127.0.0.1:{port}", "--clients", "1", "--packets", "1")[0] == 0, 20, "coturn")
            yield process.pid, f"turn:127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@test
def coturn_gets_the_same_load():
    if not shutil.which("turnserver"):
        skip("there is no turnserver")
    with coturn() as (pid, url):
        def load(*arguments):
            code, output, errors = run_relay("bench", url, *ANN, "--json", "--pid", str(pid), *arguments)
            check_equal((code, errors), (0, ""), f"the end of {arguments}")
            return json.loads(output)

        for arguments in ((), ("--direction", "down"), ("--mode", "send"), ("--direction", "pair"), ("--load", "binding"), ("--load", "allocate")):
            done = load(*arguments, "--clients", "4", "--packets", "40")
            check_equal((done["sent"], done["delivered"], done["refused"]), (40, 40, 0), f"of {arguments}")
            check(done["cpu_us_per_packet"] > 0, f"{arguments} cost {done['cpu_us_per_packet']}")
        done = load("--load", "hold", "--held", "16", "--seconds", "1")
        check(done["unreleased"] == 0 and done["resident_bytes_held"] > 1 << 20, f"held: {done}")


if __name__ == "__main__":
    main()
