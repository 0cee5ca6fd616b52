"""chromium: Chromium through chromedriver, which takes WebDriver's commands as JSON over HTTP."""
import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request

from support.server import free_port
from support.tap import wait_for
from support.web import Browser, WebDriverError

# command: method and path, below the session
COMMANDS = {
    "NewWindow": ("POST", "/window/new"),
    "SwitchToWindow": ("POST", "/window"),
    "Navigate": ("POST", "/url"),
    "ExecuteAsyncScript": ("POST", "/execute/async"),
    "TakeScreenshot": ("GET", "/screenshot"),
    "DeleteSession": ("DELETE", ""),
    "Protocol": ("POST", "/goog/cdp/execute"),
}
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
            "--window-size=1000,900")


class Chromium(Browser):
    PROGRAMS = ("chromium", "chromedriver")

    def start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.launch("chromedriver", f"--port={port}")

        def is_ready():
            with contextlib.suppress(OSError):
                return self.ask("GET", "/status")["ready"]

        wait_for(is_ready, 20, "chromedriver")
        options = {"binary": shutil.which("chromium"), "args": [*SWITCHES, f"--user-data-dir={self.directory}/profile", *self.switches()]}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"script": 60000, "pageLoad": 20000}}
        self.url += f"/session/{self.ask('POST', '/session', {'capabilities': {'alwaysMatch': capabilities}})['sessionId']}"

    def switches(self):
        # with this switch Chromium would also ask from 127.0.0.1 in a network of its own, and wait 40 s for what cannot come
        if self.loopback:
            yield "--allow-loopback-in-peer-connection"
        if self.trust:
            yield f"--ignore-certificate-errors-spki-list={pin_of(self.trust.certificate)}"

    def quit(self):
        self.call("DeleteSession")

    def call(self, command, parameters=None):
        return self.ask(*COMMANDS[command], parameters)

    def emulate(self, window, width, height, theme):
        """The window is of that size, which may be less than a desktop's least, and its user likes `theme`: "light" or "dark"."""
        for command, parameters in (
                ("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}),
                ("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})):
            window.call("Protocol", {"cmd": command, "params": parameters})

    def ask(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise WebDriverError(json.load(error)["value"]["message"].splitlines()[0]) from None


def pin_of(certificate):
    """The hash of the certificate's public key, by which Chromium can be told to trust it for every purpose, TURN over TLS included."""
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
