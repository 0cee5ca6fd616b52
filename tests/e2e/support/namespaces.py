"""namespaces: network namespaces that a test makes, lives in and takes away again; needs root.

Whoever enters a namespace makes sockets and processes in it. A network is a subclass that names its namespaces and wires them up:

    class Pair(Namespaces):
        NAMES = ("one", "other")        # self.one, self.other: names that no other run has
        def wire(self): ip("-n", self.one, ...)
"""
import contextlib
import ctypes
import os
import subprocess

from support.server import need
from support.tap import skip

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments, stdin=""):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, input=stdin)


class Namespaces:
    NAMES = ()

    def __init__(self):
        if os.geteuid() != 0:
            skip("making network namespaces needs root")
        need("ip")
        for name in self.NAMES:
            setattr(self, name, f"{name}-{os.getpid()}")

    def __enter__(self):
        try:
            for name in self.all():
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            self.wire()
        except subprocess.CalledProcessError as error:
            self.__exit__()
            skip(f"cannot make network namespaces: {error.stderr.strip()}")
        return self

    def __exit__(self, *_):
        for name in self.all():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def all(self):
        return [getattr(self, name) for name in self.NAMES]

    def wire(self):
        raise NotImplementedError

    @contextlib.contextmanager
    def inside(self, name):
        """The calling thread makes its sockets and processes in the namespace."""
        with open("/proc/self/ns/net", encoding="ascii") as home, open(f"/run/netns/{name}", encoding="ascii") as there:
            self.enter(there)
            try:
                yield
            finally:
                self.enter(home)

    @staticmethod
    def enter(file):
        if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
