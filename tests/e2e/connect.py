"""Connect: the unary JSON of its protocol by hand, and its own client in Node by core/admin/relay.proto."""
import datetime
import json
import os
import shutil
import subprocess
import time

from support.minted import enter, post, serving
from support.server import ROOT
from support.tap import check, check_equal, main, skip, smoke, test

PATIENT = True

PATH = "/relay.v1.CredentialService/Mint"
PACKAGES = ("@connectrpc/connect@2.1.2", "@connectrpc/connect-node@2.1.2", "@bufbuild/protobuf@2.12.1")
MODULES = os.path.join(ROOT, os.environ.get("B", "build"), "node", "connect-2.1.2")


def call(server, message, **headers):
    return post(server, message, PATH, **{"Content_Type": "application/json", "Connect_Protocol_Version": "1", **headers})


@smoke
def a_call_answers_in_proto3s_json():
    with serving() as server:
        status, body, headers = call(server, {"tenant": "acme", "ttl": "90", "tag": "ann", "room": "red", "transports": ["TRANSPORT_UDP", 2], "maxBps": "1000000",
                                              "max_allocations": 1.0, "key": None})
        check_equal((status, headers["Content-Type"]), (200, "application/json"), "the answer")
        check_equal(sorted(body), ["credentialId", "expiresAt", "iceServers"], "its members")
        (ice,) = body["iceServers"]
        check_equal([url.rpartition("=")[2] for url in ice["urls"]], ["udp", "tcp"], "the transports")
        expires = datetime.datetime.strptime(body["expiresAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        check(88 <= expires - time.time() <= 90, f"it expires at {body['expiresAt']}")
        check(ice["username"].endswith(f":tacme.op:ann:{body['credentialId']}:room=red:bps=1000000:n=1"), f"the name {ice['username']}")
        check_equal(enter(server, ice["username"], ice["credential"]), 0, "the answer to an Allocate")
        defaults = call(server, {"tenant": "acme", "ttl": 0, "tag": "", "transports": [], "maxBps": 0})[1]["iceServers"][0]
        check(defaults["username"].split(":")[2] == "" and "bps" not in defaults["username"], "what is at its default is not said")
        check_equal(post(server, {"tenant": "acme"}, PATH, Content_Type="application/json; charset=utf-8")[0], 200, "a call that names no version")


@test
def what_is_refused_has_connects_code():
    with serving("mint-rate=5", tenants={"acme": ["status=active"], "shut": ["status=disabled"]}) as server:
        for message, code, said in (({"tenant": "acme", "ttl": 172801}, "invalid_argument", "ttl: "), ({"tenant": "acme", "ttl": "x"}, "invalid_argument", "ttl: "),
                                    ({"tenant": "acme", "ttl": 1.5}, "invalid_argument", "ttl: "), ({"tenant": "acme", "ttl": "0x10"}, "invalid_argument", "ttl: "),
                                    ({"tenant": "acme", "ttl": "1e400"}, "invalid_argument", "ttl: "), ({"tenant": "acme", "ttl": " 9"}, "invalid_argument", "ttl: "), ({"tenant": "acme", "transports": ["udp"]}, "invalid_argument", "transports: "),
                                    ({"tenant": "acme", "transports": ["TRANSPORT_TLS"]}, "invalid_argument", "transports: "), ({"tenant": 7}, "invalid_argument", "tenant: "),
                                    ({"tenant": "acme", "tll": 1}, "invalid_argument", "tll: "), ({"tenant": "acme", "tag": "a,b"}, "invalid_argument", "tag: "),
                                    ({}, "invalid_argument", "tenant: "), (b"[]", "invalid_argument", "object"), (b"{", "invalid_argument", "object"),
                                    ({"tenant": "nobody"}, "not_found", "tenant"), ({"tenant": "shut"}, "permission_denied", "disabled")):
            status, body, headers = call(server, message)
            check_equal((status, body["code"]), ({"invalid_argument": 400, "not_found": 404, "permission_denied": 403}[code], code), f"the answer to {message}")
            check(said in body["message"] and headers["Content-Type"] == "application/json", f"it says {body}")
        check_equal(call(server, {"tenant": "acme"}, Connect_Protocol_Version="2")[:2], (400, {"code": "invalid_argument", "message": "Connect-Protocol-Version: 1 expected"}),
                    "the answer to another version")
        check_equal(call(server, {"tenant": "acme"}, Content_Encoding="gzip")[0], 501, "the answer to what is compressed")
        status, _, headers = call(server, {"tenant": "acme"}, Content_Type="application/proto")
        check_equal((status, headers["Accept-Post"]), (415, "application/json"), "the answer to the binary form")
        first = call(server, {"tenant": "acme"}, Idempotency_Key="a")
        check_equal(call(server, {"tenant": "acme"}, Idempotency_Key="a")[1], first[1], "the answer to the same key")
        check_equal(call(server, {"tenant": "acme", "tag": "x"}, Idempotency_Key="a")[:2],
                    (409, {"code": "already_exists", "message": "the Idempotency-Key was used for another body"}), "another request with it")
        codes = [call(server, {"tenant": "acme"}) for _ in range(10)]
        status, body, headers = next(answer for answer in codes if answer[0] != 200)
        check_equal((status, body["code"], headers["Retry-After"]), (429, "resource_exhausted", "1"), "the answer to the impatient")


@test
def the_description_compiles():
    if not shutil.which("protoc"):
        skip("protoc is not installed: core/admin/relay.proto was NOT compiled")
    done = subprocess.run(["protoc", "--descriptor_set_out=/dev/null", f"--proto_path={ROOT}/core/admin", "relay.proto"], capture_output=True, text=True, timeout=20)
    check_equal((done.returncode, done.stderr), (0, ""), "what protoc says")


def need_node():
    for program in ("node", "npm", "protoc"):
        if not shutil.which(program):
            skip(f"{program} is not installed: Connect's own client was NOT tried")
    if int(subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.lstrip("v").split(".")[0]) < 20:
        skip("Node is older than 20: Connect's own client was NOT tried")
    if not os.path.isdir(os.path.join(MODULES, "node_modules", "@connectrpc", "connect-node")):
        os.makedirs(MODULES, exist_ok=True)
        done = subprocess.run(["npm", "install", "--prefix", MODULES, "--no-audit", "--no-fund", "--no-save", "--prefer-offline", *PACKAGES], capture_output=True, text=True, timeout=50)
        if done.returncode:
            skip("npm could not fetch Connect's packages: its own client was NOT tried")


def node_calls(server, *calls):
    descriptors, script = server.path("relay.binpb"), os.path.join(MODULES, "connect.mjs")
    shutil.copy(os.path.join(ROOT, "tests", "e2e", "support", "connect.mjs"), script)
    subprocess.run(["protoc", "--include_imports", f"--descriptor_set_out={descriptors}", f"--proto_path={ROOT}/core/admin", "relay.proto"], check=True, timeout=20)
    done = subprocess.run(["node", script, server.path("door"), descriptors, json.dumps(calls)], capture_output=True, text=True, timeout=30)
    check_equal(done.returncode, 0, f"the exit code of node ({done.stderr})")
    return [json.loads(line) for line in done.stdout.splitlines()]


@test
def connects_own_client_calls_it():
    need_node()
    with serving("mint-rate=4") as server:
        good, wrong, nobody = node_calls(server, [{"tenant": "acme", "ttl": 90, "tag": "ann", "transports": [1, 2], "maxBps": 5, "maxAllocations": 6}, {}],
                                         [{"tenant": "acme", "ttl": 172801}, {}], [{}, {}])
        check(88_000 <= good["expiresMs"] - time.time() * 1000 + 5000 <= 96_000, f"it expires at {good['expiresAt']}")
        ice = good["iceServers"][0]
        check_equal(len(ice["urls"]), 2, "the URLs")
        check(ice["username"].endswith(":bps=5:n=6"), f"the name {ice['username']}")
        check_equal(enter(server, ice["username"], ice["credential"]), 0, "the answer to an Allocate")
        check_equal((wrong["code"], wrong["message"][:5]), ("InvalidArgument", "ttl: "), "a wrong call")
        check_equal((nobody["code"], nobody["message"][:8]), ("InvalidArgument", "tenant: "), "one without a tenant")
        impatient = node_calls(server, *[[{"tenant": "acme"}, {}]] * 10)
        check({"ResourceExhausted"} == {answer.get("code", "ResourceExhausted") for answer in impatient} and any(answer.get("retry") == "1" for answer in impatient),
              f"the answers to the impatient: {impatient}")
        again = node_calls(server, *[[{"tenant": "other"}, {"idempotency-key": "k"}]] * 2)
        check_equal(again[0], again[1], "the answer to the same key")


if __name__ == "__main__":
    main(limit_s=60)
