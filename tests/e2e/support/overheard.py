"""overheard: a UDP path to the server that keeps what the server said, for clients that do not tell which codes they got."""
import contextlib
import select
import socket
import threading

from support import stun


class Overheard:
    """with Overheard(server) as path: clients go to 127.0.0.1 and path.port; then path.said are the server's STUN messages."""

    def __init__(self, server):
        self.server, self.said = server, []
        self.front, (self.stopped, self.stop) = socket.socket(type=socket.SOCK_DGRAM), socket.socketpair()
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.ways = {}  # client: the socket on which the server knows it
        self.thread = threading.Thread(target=self.carry)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.close()
        self.thread.join()
        for end in (self.front, self.stopped, *self.ways.values()):
            end.close()

    def carry(self):
        while self.stopped not in (ready := select.select([self.front, self.stopped, *self.ways.values()], [], [])[0]):
            with contextlib.suppress(ConnectionError):
                if self.front in ready:
                    data, client = self.front.recvfrom(65536)
                    self.way(client).send(data)
            for client in [client for client, way in self.ways.items() if way in ready]:
                with contextlib.suppress(ConnectionError):
                    data = self.ways[client].recv(65536)
                    self.front.sendto(data, client)
                    if not data[0] & 0xC0:
                        self.said.append(stun.Message(data))

    def way(self, client):
        if client not in self.ways:
            self.ways[client] = socket.socket(type=socket.SOCK_DGRAM)
            self.ways[client].connect((self.server.host, self.server.port))
        return self.ways[client]

    def codes(self, method):
        """The codes of the answers to `method`, 0 for success, in their order."""
        return [message.code for message in self.said if message.method == method and message.kind in (stun.SUCCESS, stun.ERROR)]
