"""Other people's ICE and WebRTC stacks, which may use nothing but the relay: aioice, libnice and werift, two of each, data both ways."""
import asyncio
import importlib.util
import os
import shutil
import subprocess
import tempfile
from unittest import mock

from support.program import BUILD, SUPPORT, built
from support.server import Server, need
from support.tap import check, check_equal, main, skip, test

PATIENT = True

MESSAGES = 1000
# how the server is told to listen for one transport alone, so that a stack that falls back to another is found out
ONLY = {"udp": ["no-tcp"], "tcp": ["no-udp"], "tls": ["no-udp"]}
WERIFT = "werift@0.23.0"  # the last that runs on Debian's nodejs


def aioice_pair(server, transport):
    import aioice

    async def talk():
        where = ("localhost", server.tls_port) if transport == "tls" else (server.host, server.port)
        pair = [aioice.Connection(ice_controlling=controls, turn_server=where, turn_username="ann", turn_password="secret",
                                  turn_transport="udp" if transport == "udp" else "tcp", turn_ssl=transport == "tls", use_ipv6=False,
                                  transport_policy=aioice.TransportPolicy.RELAY) for controls in (True, False)]
        for one in pair:
            await one.gather_candidates()
            check_equal([candidate.type for candidate in one.local_candidates], ["relay"], "the candidates")
        for one, other in (pair, reversed(pair)):
            for candidate in one.local_candidates:
                await other.add_remote_candidate(candidate)
            await other.add_remote_candidate(None)
            other.remote_username, other.remote_password = one.local_username, one.local_password
        await asyncio.gather(*(one.connect() for one in pair))
        for number in range(MESSAGES):
            for one, other in (pair, reversed(pair)):
                await one.send(b"%d" % number)
                check_equal(await other.recv(), b"%d" % number, "what arrived")
        for one in pair:
            await one.close()

    # aioice trusts what the system trusts
    with mock.patch.dict(os.environ, {"SSL_CERT_FILE": server.authority}):
        asyncio.run(asyncio.wait_for(talk(), 30))


@test
def aioice_over_udp_tcp_and_tls():
    if not importlib.util.find_spec("aioice"):
        skip("python3-aioice is not installed")
    for transport, only in ONLY.items():
        with Server(*only, tls=True) as server:
            aioice_pair(server, transport)


def nice():
    """The program of two agents, where libnice is."""
    need("pkg-config")
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "nice"], capture_output=True, text=True)
    if found.returncode:
        skip("libnice-dev is not installed")
    return built("nice", *found.stdout.split())


@test
def libnice_over_udp_tcp_and_plain_tcp_on_the_port_for_tls():
    program = nice()
    for transport, only in ONLY.items():
        with Server(*only, tls=True) as server:
            port = server.tls_port if transport == "tls" else server.port
            done = subprocess.run([program, server.host, str(port), transport, "ann", "secret", str(MESSAGES)], capture_output=True, text=True, timeout=30)
            check_equal(done.stdout.split(), [str(MESSAGES)] * 2, f"the messages over {transport}")
            check("not relayed" not in done.stderr, done.stderr)


def werift():
    """The directory with werift and what it needs; from npm when it is asked for first."""
    need("node")
    directory = os.path.join(BUILD, "node", WERIFT)
    if not os.path.exists(directory):
        need("npm")
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(directory)) as new:
            install = ["npm", "install", "--prefix", new, "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", WERIFT]
            try:
                done = subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
            except subprocess.TimeoutExpired:
                skip("npm gave no werift in 100 s")
            if done.returncode:
                skip(f"npm gives no {WERIFT}: {(done.stderr.strip() or 'it does not say why').splitlines()[0]}")
            shutil.move(os.path.join(new, "node_modules"), directory)
    return directory


@test
def werift_over_udp_and_tcp():
    directory = werift()
    for transport in ("udp", "tcp"):
        with Server(*ONLY[transport]) as server:
            done = subprocess.run(["node", os.path.join(SUPPORT, "werift.js"), f"turn:{server.host}:{server.port}", transport, "ann", "secret", str(MESSAGES)],
                                  env={**os.environ, "NODE_PATH": directory}, capture_output=True, text=True, timeout=30)
            check_equal(done.stdout.split(), [str(MESSAGES)], f"the messages over {transport} ({done.stderr[-500:]})")


if __name__ == "__main__":
    main(limit_s=150)
