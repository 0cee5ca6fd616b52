"""Two homes behind NATs of the kinds that are named, of tests/e2e/support/nats.py: prints the names of the namespaces as JSON, and lets them go at the end of its stdin.

    nats.py KIND KIND        "full cone", "symmetric", ...; exit code 77 and the reason where it cannot be had
"""
import json
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 4)
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from support.namespaces import ip  # noqa: E402
from support.nats import HOMES, SERVER, Nats  # noqa: E402
from support.tap import Skip  # noqa: E402

try:
    with Nats(*sys.argv[1:]) as nats:
        for name in HOMES:  # those rules are for UDP: the page, and the calls of the lobby, go out by TCP
            ip("netns", "exec", getattr(nats, f"{name}_nat"), "nft", "add", "rule", "ip", "home", "out", "oifname", "out", "meta", "l4proto", "tcp", "masquerade")
        print(json.dumps({"server": SERVER, "public": nats.public, "alice": nats.alice, "bob": nats.bob}), flush=True)
        sys.stdin.read()
except Skip as reason:
    print(reason, flush=True)
    sys.exit(77)
