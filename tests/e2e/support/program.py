"""program: what a test has in C, built where everything is built, once for each run of a file of tests."""
import os
import subprocess
import threading

from support.server import ROOT, need

BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
SUPPORT = os.path.join(ROOT, "tests", "e2e", "support")
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
DONE, LOCK = {}, threading.Lock()


def built(name, *more):
    """The path of the program made of support/NAME.c; `more` goes to the compiler, behind the source."""
    with LOCK:
        if name not in DONE:
            need("cc")
            program = os.path.join(BUILD, "e2e", name)
            os.makedirs(os.path.dirname(program), exist_ok=True)
            subprocess.run(["cc", *FLAGS, os.path.join(SUPPORT, f"{name}.c"), "-o", program, *more], check=True)
            DONE[name] = program
        return DONE[name]
