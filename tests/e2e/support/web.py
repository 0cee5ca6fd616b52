"""web: what a browser is to a test, whichever it is; and a network of two namespaces for it to live in.

Chromium gathers no candidate from a machine that has nothing but loopback. As root the tests make a network of their own: the browser's namespace
behind an address translation, the relay's namespace outside; whoever enters one makes sockets and processes in it.
"""
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

from support.namespaces import LIBC, Namespaces, ip
from support.server import need
from support.tap import wait_for

PR_SET_CHILD_SUBREAPER = 36


class WebDriverError(AssertionError):
    pass


def children():
    """The processes whose parent we are."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            if int(file.read().rsplit(")", 1)[1].split()[1]) == os.getpid():
                found.add(int(name))
    return found


def bury(strangers):
    """Waits for adopted processes to end; those that do not within five seconds are killed."""
    def are_gone():
        for pid in strangers():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return not strangers()

    with contextlib.suppress(AssertionError):
        wait_for(are_gone, 5)
    for pid in strangers():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Browser:
    """A headless browser with a fake camera, in a directory of its own. The kinds, in chromium.py and firefox.py, say how it is launched and how a
    command of WebDriver reaches it: start(), quit(), call(command, parameters)."""

    PROGRAMS = ()
    TLS_HOST = None  # the name that the server has in a turns: URL; else its address

    def __init__(self, trust=None, loopback=False):
        """Trusts the servers of a test that are certified as `trust` (a Server) says; without a network of its own it is to use `loopback`."""
        for program in self.PROGRAMS:
            need(program)
        self.trust, self.loopback, self.process = trust, loopback, None
        self.directory = tempfile.mkdtemp(prefix="relay-browser-")
        # what a browser leaves behind when it ends becomes ours, and can be waited for
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.others = children()

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def launch(self, *argv):
        env = {**os.environ, "HOME": self.directory, "LANG": "C.UTF-8"}
        with open(os.path.join(self.directory, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.quit()
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        bury(lambda: children() - self.others)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        raise NotImplementedError

    def quit(self):
        raise NotImplementedError

    def call(self, command, parameters=None):
        raise NotImplementedError

    def open(self, url):
        """A new window that shows `url`."""
        window = Window(self, self.call("NewWindow", {"type": "window"})["handle"])
        window.call("Navigate", {"url": url})
        return window


class Window:
    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def call(self, command, parameters=None):
        self.browser.call("SwitchToWindow", {"handle": self.handle})
        return self.browser.call(command, parameters)

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function and returns what it returns."""
        body = ("const give = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
                f"(async (...given) => {{ {script} }})(...given).then(value => give({{value}}), error => give({{error: String(error)}}));")
        done = self.call("ExecuteAsyncScript", {"script": body, "args": list(arguments)})
        if "error" in done:
            raise WebDriverError(done["error"])
        return done.get("value")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("TakeScreenshot")))


class Network(Namespaces):
    """Two namespaces: `browser` (10.77.0.2, seen from outside as 198.51.100.2) and `relay` (198.51.100.1), joined by a veth pair."""

    NAMES = ("relay", "browser")
    RELAY, INSIDE, OUTSIDE = "198.51.100.1", "10.77.0.2", "198.51.100.2"

    def __init__(self):
        super().__init__()
        need("nft")

    def wire(self):
        ip("-n", self.browser, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", self.relay)
        for name, device, address in ((self.relay, "in", f"{self.RELAY}/24"), (self.browser, "out", f"{self.INSIDE}/24")):
            ip("-n", name, "address", "add", address, "dev", device)
            ip("-n", name, "link", "set", device, "up")
        ip("-n", self.browser, "address", "add", f"{self.OUTSIDE}/32", "dev", "out")
        ip("-n", self.browser, "route", "add", "default", "dev", "out", "src", self.INSIDE)
        rules = (f"add table ip nat\nadd chain ip nat out {{ type nat hook postrouting priority 100 ; }}\n"
                 f"add rule ip nat out ip saddr {self.INSIDE} ip daddr {self.RELAY} snat to {self.OUTSIDE}\n")
        ip("netns", "exec", self.browser, "nft", "-f", "-", stdin=rules)
