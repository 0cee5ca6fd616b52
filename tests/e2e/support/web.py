"""web: Chromium through chromedriver, spoken to with WebDriver's JSON over urllib; and a network of two namespaces for it to live in.

Chromium gathers no candidate from a machine that has nothing but loopback. As root the tests make a network of their own: the browser's namespace
behind an address translation, the relay's namespace outside; whoever enters one makes sockets and processes in it.
"""
import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from support.namespaces import LIBC, Namespaces, ip
from support.server import free_port, need
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
    """A headless Chromium with a fake camera. `pins` are the hashes of certificates that it is to trust; `more` are switches."""

    def __init__(self, pins=(), more=()):
        need("chromium")
        need("chromedriver")
        self.directory = tempfile.mkdtemp(prefix="relay-browser-")
        self.port = free_port()
        self.log_path = os.path.join(self.directory, "log")
        self.url = f"http://127.0.0.1:{self.port}"
        self.pins, self.more, self.process = list(pins), list(more), None
        # what Chromium leaves behind when it ends becomes ours, and can be waited for
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.others = children()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        env = {**os.environ, "HOME": self.directory, "LANG": "C.UTF-8"}
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

        def is_ready():
            with contextlib.suppress(OSError):
                return self.call("GET", "/status")["ready"]

        wait_for(is_ready, 20, "chromedriver")
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                     "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
                     "--window-size=1000,900", f"--user-data-dir={self.directory}/profile"]
        arguments += self.more
        if self.pins:
            arguments.append(f"--ignore-certificate-errors-spki-list={','.join(self.pins)}")
        capabilities = {"browserName": "chrome", "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments},
                        "timeouts": {"script": 60000, "pageLoad": 20000}}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.url += f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.call("DELETE", "")
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        bury(lambda: children() - self.others)
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise WebDriverError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def open(self, url):
        """A new window that shows `url`."""
        window = Window(self, self.call("POST", "/window/new", {"type": "window"})["handle"])
        window.call("POST", "/url", {"url": url})
        return window


class Window:
    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def call(self, method, path, body=None):
        self.browser.call("POST", "/window", {"handle": self.handle})
        return self.browser.call(method, path, body)

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function and returns what it returns."""
        body = ("const give = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
                f"(async (...given) => {{ {script} }})(...given).then(value => give({{value}}), error => give({{error: String(error)}}));")
        done = self.call("POST", "/execute/async", {"script": body, "args": list(arguments)})
        if "error" in done:
            raise WebDriverError(done["error"])
        return done.get("value")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))


def pin_of(certificate):
    """The hash of the certificate's public key, by which Chromium can be told to trust it for every purpose, TURN over TLS included."""
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


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
