#!/usr/bin/python3
"""guide: policies/README.md, followed to the letter: its files are written, its commands typed into a shell, in the order of the page, in a fresh directory.

A block whose fence says a name (```lua guests.lua) is a file. A block of `console` is a session: what follows "$ " is typed, the lines behind it are what it
prints, the essential ones in order; "..." stands for anything, in a line or for lines. The shell has a network of its own, so that the ports are the page's.
"""
import os
import re
import subprocess
import tempfile
import time

from support.namespaces import Namespaces
from support.server import BINARY, ROOT, need
from support.tap import check, check_equal, main, test

PATIENT = True

PAGE = os.path.join(ROOT, "policies", "README.md")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
COMMAND_S, PATIENCE_S = 30.0, 10.0


class Alone(Namespaces):
    NAMES = ("guide",)

    def wire(self):
        pass


def blocks():
    """(line, language, name, text) of every block of the page."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    return [(text.count("\n", 0, found.start()) + 1, found[1], found[2], found[3]) for found in FENCE.finditer(text)]


def steps(session):
    """[(command, [expected lines])] of a console block."""
    found = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0] + "\n" + line, [])
        elif found:
            found[-1][1].append(line)
    return found


def line_pattern(line):
    words = [".*" if part == "..." else r"\s+" if part.isspace() else re.escape(part) for part in re.split(r"(\.\.\.|\s+)", line.strip())]
    return re.compile("".join(words))


def missing(expected, output):
    """The first expected line that the output does not have behind those before it; None: all are there."""
    lines = iter(output.splitlines())
    for line in expected:
        if line.strip() != "..." and not any(line_pattern(line).fullmatch(said.strip()) for said in lines):
            return line
    return None


class Shell:
    """A shell that is typed into, one command after the other."""

    END = re.compile(r"^=== (\d+)$", re.M)

    def __init__(self, namespace, directory):
        self.directory = directory
        self.printed = os.path.join(directory, ".printed")
        programs = os.path.join(directory, ".bin")
        os.mkdir(programs)
        os.symlink(BINARY, os.path.join(programs, "relay"))
        environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", HOME=directory)
        with open(self.printed, "wb") as output:
            self.process = subprocess.Popen(["ip", "netns", "exec", namespace, "bash", "--norc"], cwd=directory, env=environment, stdin=subprocess.PIPE,
                                            stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        self.read = 0

    def output(self):
        with open(self.printed, encoding="utf-8", errors="replace") as file:
            return file.read()[self.read:]

    def run(self, command):
        """What the command printed."""
        self.read += len(self.output())
        self.process.stdin.write(f"{command}\necho \"=== $?\"\n".encode())
        self.process.stdin.flush()
        deadline = time.monotonic() + COMMAND_S
        while not (end := self.END.search(self.output())):
            check(time.monotonic() < deadline and self.process.poll() is None, f"{command} does not end: {self.output()}")
            time.sleep(0.005)
        return self.output()[:end.start()]

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)


def follow(shell, line, command, expected):
    """Runs a command; what looks into a log, or comes as a client, may try again: a change takes a moment to count."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        output = shell.run(command)
        lacking = missing(expected, output)
        if lacking is None:
            return
        check(command.startswith(("grep ", "turnutils_uclient ", "relay metrics ")) and time.monotonic() < deadline,
              f"policies/README.md:{line}: {command}\nprints no line like\n  {lacking}\nbut\n{output}")
        time.sleep(0.05)


@test
def the_guide_can_be_followed_to_the_letter():
    need("turnutils_uclient")
    ran = 0
    with Alone() as network, tempfile.TemporaryDirectory(prefix="relay-e2e-") as directory:
        shell = Shell(network.guide, directory)
        try:
            for line, language, name, text in blocks():
                if name:
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                        file.write(text)
                elif language == "console":
                    for command, expected in steps(text):
                        follow(shell, line, command, expected)
                        ran += 1
        finally:
            shell.run("kill $(jobs -p) 2>/dev/null; wait")
            shell.close()
    check(ran >= 10, f"only {ran} commands were run")


@test
def every_block_is_of_a_kind_that_is_tried():
    kinds = [(line, language, name) for line, language, name, _ in blocks()]
    for line, language, name in kinds:
        check(name or language in ("console", "lua"), f"policies/README.md:{line}: a block of {language} that nobody tries")
    check_equal([name for _, language, name in kinds if name and not name.endswith((".lua", ".json", ".conf"))], [], "files of other kinds")


if __name__ == "__main__":
    main(limit_s=120)
