"""The load generator of tests/bench: every load is delivered whole, so that what `make bench` prints is what it says. Nothing is measured here."""
import os
import re
import subprocess

from support.server import ROOT, Server
from support.tap import check, check_equal, main, test

LOAD = os.path.join(ROOT, os.environ.get("B", "build"), "bench", "load")
LOADS = ("up", "down", "send", "data", "tcp-up", "tcp-down", "binding", "allocate", "login")


def run_load(server, *arguments):
    done = subprocess.run([LOAD, f"{server.host}:{server.port}", *arguments], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


@test
def every_load_is_delivered_whole_and_leaves_nothing():
    with Server("total-quota=4") as server:
        for kind in LOADS * 2:
            for pace in ("window=3", "rate=1000") if kind != "allocate" else ("window=3", "window=4"):
                code, output, errors = run_load(server, kind, "clients=4", "packets=60", pace)
                check_equal((code, errors), (0, ""), f"the end of {kind}")
                check(re.match(r"delivered=60 lost=0 seconds=[\d.]+ p50_us=\d+ p99_us=\d+$", output), f"{kind} printed {output}")


@test
def a_load_that_is_not_as_it_was_asked_for_is_an_error():
    with Server("total-quota=4") as server:
        for arguments, reason in ((("up", "clients=5"), "Allocate was refused"), (("sideways",), "usage"), (("up", "clients=0"), "usage"), (("up", "bytes=7"), "usage"),
                                  (("allocate", "rate=10"), "usage"), (("allocate", "clients=2", "window=3"), "usage")):
            code, output, errors = run_load(server, *arguments)
            check_equal((code, output), (1, ""), f"the end of {arguments}")
            check(reason in errors, f"{arguments} said {errors}")


if __name__ == "__main__":
    main()
