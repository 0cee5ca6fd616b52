"""firefox: Firefox through Marionette, its own port for WebDriver's commands: JSON behind its length, over TCP.

A command is [0, number, name, parameters], its answer [1, number, error, result]. Firefox asks that a turns: URL has a host name and that the
certificate is for it and from an authority it knows: the profile gets the test's authority, and every name resolves to the test's server.
"""
import contextlib
import json
import os
import socket
import subprocess

from support.server import NAME, free_port, need
from support.tap import wait_for
from support.web import Browser, WebDriverError

PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
}


class Firefox(Browser):
    PROGRAMS = ("firefox-esr",)
    TLS_HOST = NAME

    def start(self):
        port, self.count = free_port(), 0
        profile = os.path.join(self.directory, "profile")
        os.mkdir(profile)
        with open(os.path.join(profile, "user.js"), "w", encoding="utf-8") as file:
            for name, value in {**PREFERENCES, "marionette.port": port, **dict(self.preferences())}.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        if self.trust:
            need("certutil")
            for how in (["-N", "--empty-password"], ["-A", "-n", "test", "-t", "C,,", "-i", self.trust.authority]):
                subprocess.run(["certutil", "-d", f"sql:{profile}", *how], check=True, capture_output=True)
        self.launch("firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", profile)

        def connected():
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=90)

        self.socket = wait_for(connected, 30, "Marionette")
        self.stream = self.socket.makefile("rb")
        self.read()
        self.call("NewSession", {"capabilities": {"alwaysMatch": {"timeouts": {"script": 60000, "pageLoad": 20000}}}})

    def preferences(self):
        if self.trust:
            yield "network.dns.forceResolve", self.trust.host
        if self.loopback:
            yield "media.peerconnection.ice.loopback", True

    def quit(self):
        self.ask("Marionette:Quit", {"flags": ["eForceQuit"]})
        self.stream.close()
        self.socket.close()

    def call(self, command, parameters=None):
        value = self.ask(f"WebDriver:{command}", parameters)
        return value["value"] if list(value) == ["value"] else value

    def ask(self, name, parameters=None):
        self.count += 1
        message = json.dumps([0, self.count, name, parameters or {}]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, value = self.read()
        if error:
            raise WebDriverError(error["message"])
        return value

    def read(self):
        length = b""
        while (digit := self.stream.read(1)) != b":":
            if not digit:
                raise WebDriverError("Firefox closed the connection")
            length += digit
        return json.loads(self.stream.read(int(length)))
