"""openssl: what `openssl s_client` sees of the server's TLS and DTLS, and a TURN client that speaks DTLS through it."""
import re
import socket
import ssl
import subprocess

from support.client import Client
from support.server import need

LIMIT_S = 20
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def command(server, *arguments, dtls=False):
    need("openssl")
    return ["openssl", "s_client", "-connect", f"{server.host}:{server.tls_port}", *(["-dtls1_2", "-mtu", "1200"] if dtls else []), *arguments]


def s_client(server, *arguments, dtls=False):
    """What it prints of a handshake."""
    done = subprocess.run(command(server, *arguments, dtls=dtls), input="Q\n", capture_output=True, text=True, timeout=LIMIT_S, errors="replace")
    return done.stdout


def shown(server, *arguments, name=None, dtls=False):
    """The certificate that a client is shown, as DER; None if the handshake fails."""
    found = PEM.search(s_client(server, *(["-servername", name] if name else ["-noservername"]), *arguments, dtls=dtls))
    return ssl.PEM_cert_to_DER_cert(found[0]) if found else None


def der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(PEM.search(file.read())[0])


class DtlsClient(Client):
    """A Client over DTLS; `how` are arguments of s_client. For STUN only: where a datagram ends is told by the message in it."""

    def __init__(self, server, *how, **more):
        self.how, self.process = how, None
        super().__init__(server, "dtls", port=server.tls_port, **more)

    def connect(self, server, local, sni):
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(command(server, "-quiet", "-servername", sni, *self.how, dtls=True),
                                            stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        return ours

    def close(self):
        super().close()
        self.process.terminate()
        self.process.wait()
