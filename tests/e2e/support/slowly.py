"""slowly: a backend that answers every request after a while: python3 -m support.slowly PORT SECONDS, until SIGTERM; then it says how many there were, and at most at once.

A process of its own, and no more than a backend needs, so that it holds thousands a second.
"""
import asyncio
import json
import signal
import sys

BODY = json.dumps({"password": "secret"}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Connection(asyncio.Protocol):
    asked = waiting = most = 0
    delay_s = 0.0

    def connection_made(self, transport):
        self.transport, self.got = transport, b""

    def data_received(self, data):
        self.got += data
        head, end, body = self.got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if end else 0
        if not end or len(body) < length:
            return
        self.got = body[length:]
        Connection.asked += 1
        Connection.waiting += 1
        Connection.most = max(Connection.most, Connection.waiting)
        asyncio.get_running_loop().call_later(Connection.delay_s, self.answer)

    def answer(self):
        Connection.waiting -= 1
        self.transport.write(ANSWER)


async def serve(port, delay_s):
    Connection.delay_s = delay_s
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await over.wait()
    print(f"asked={Connection.asked} most={Connection.most}")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
