"""A packet costs as many instructions as was noted; and the tools of tests/bench work: the forwarder, the table, the chart. No time is measured here."""
import json
import os
import subprocess
import sys
import tempfile

from support.server import BINARY, ROOT, need
from support.tap import check, check_equal, main, skip, test

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))

import counts
import results
from loads import FORWARDER, GOALS, LOADS
from machine import Host, Loopback
from targets import WAYS, Wants, generate, served

PATIENT = True
TOLERANCE = 0.05
DOUBTS = 4 # as others share the machine
RUN = os.path.join(ROOT, "tests", "bench", "run")
RENDER = os.path.join(ROOT, "tests", "bench", "render")


@test
def a_packet_costs_as_many_instructions_as_was_noted():
    need("valgrind")
    noted, other = counts.noted(), []
    check_equal(sorted(noted), sorted(counts.KINDS), "the loads of instructions.json")
    with counts.counted(BINARY) as server:
        for kind, before in noted.items():
            for _ in range(DOUBTS):
                now = server.each(kind)
                if abs(now / before - 1) <= TOLERANCE:
                    break
            else:
                other.append(f"{kind}: {now:.0f}, noted {before} ({now / before - 1:+.1%})")
    check(not other, f"instructions of a packet: {'; '.join(other)}. If that is meant, note it: tests/bench/compare --note {os.path.relpath(BINARY, ROOT)}")


def delivered(network, way):
    with served(f"forwarder {way}", network, Wants(ports=(20000, 20099))) as target:
        for direction in ("up", "down", "pair"):
            for more in (["--bytes", "172"], ["--bytes", "1200", "--burst", "8"]):
                done = generate(target, "--direction", direction, "--clients", "4", "--window", "8", "--packets", "400", *more)
                check_equal((done["delivered"], done["lost"]), (400, 0), f"{way}, {direction}, {more}")
        for kind in ("binding", "allocate"):
            done = generate(target, "--load", kind, "--clients", "4", "--packets", "40")
            check_equal((done["delivered"], done["refused"]), (40, 0), f"{way}, {kind}")


@test
def the_bare_forwarder_relays_in_every_way():
    with Host() as network:
        for way in WAYS:
            if not way.startswith("steer"):
                delivered(network, way)


@test
def the_bare_forwarder_relays_what_is_steered():
    if os.geteuid() != 0:
        skip("steering needs root")
    for way in WAYS:
        if way.startswith("steer"):
            with Loopback(f"test-{way}") as network:
                delivered(network, way)


def fabricated(name):
    """Rounds in which coturn costs 3, others 2, and the cheapest forwarder 1."""
    load = LOADS[name]
    cost = {cell: 3 if cell.startswith("coturn") else 1 if cell == "forwarder steer-packet" else 2 for cell in load.cells}
    round_ = {cell: {load.figure: each, "p50_us": each, "p99_us": each} for cell, each in cost.items()}
    return {"load": name, "programs": {"coturn": "4.6.1"}, "quick": False, "rounds": [round_] * 3, "commit": "0", "kernel": "6", "processors": 2, "when": "now",
            "took_s": 1}


@test
def what_was_measured_becomes_a_table_and_a_chart():
    check(all(goal.load in LOADS and (goal.under in ("", FORWARDER) or goal.under in LOADS[goal.load].cells) and goal.over in LOADS[goal.load].cells
              for goal in GOALS), "a goal names what no load has")
    with tempfile.TemporaryDirectory() as build:
        directory = os.path.join(build, "bench", "results")
        os.makedirs(directory)
        for name in ("lo-up", "hold"):
            with open(os.path.join(directory, f"{name}.json"), "w", encoding="utf-8") as file:
                json.dump(fabricated(name), file)
        done = subprocess.run([RENDER, "--to", build], env={**os.environ, "B": build}, capture_output=True, text=True)
        check_equal((done.returncode, done.stderr), (0, ""), "the end of render")
        with open(os.path.join(build, "RESULTS.md"), encoding="utf-8") as file:
            page = file.read()
        with open(os.path.join(build, "results.svg"), encoding="utf-8") as file:
            chart = file.read()
    for row in ("| 1. ours / the cheapest forwarder, lo-up | ≤ 1.15 | 2 (2-2), `forwarder steer-packet` | **not met** |",
                "| 1. coturn / ours without privileges, paced, loopback, up | ≥ 1.4 | 1.5 (1.5-1.5) | met |", "| 6. coturn / ours, Binding | ≥ 1.5 | not measured | |"):
        check(row in page, f"RESULTS.md has no row {row}")
    check("prefers-color-scheme: dark" in chart and chart.count("1.5×") == 2, "the chart has two loads, for two themes")


@test
def the_middle_of_rounds_is_taken_of_those_that_have_it():
    rounds = [{"relay": {"x": value}} for value in (3, 1, None, 2)] + [{"coturn": {"x": 9}}]
    check_equal(results.values(rounds, "relay", "x"), [3, 1, 2], "the values")
    check_equal(results.middle(rounds, "relay", "x"), 2, "the middle")


@test
def the_loads_are_listed():
    done = subprocess.run([RUN, "--list"], capture_output=True, text=True, check=True)
    check_equal([line.split()[0] for line in done.stdout.splitlines()], list(LOADS), "what is listed")


if __name__ == "__main__":
    main(limit_s=180)
