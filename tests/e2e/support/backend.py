"""backend: an HTTP server that policies ask: slow, counting, down and up again."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.server import free_port


class Backend:
    """with Backend(delay_s=0.2) as backend: POST /auth {username: ...} is answered with the password of `users`, or 404.

    `asked` counts the requests by username, `gone` the clients that left before their answer.
    """

    def __init__(self, delay_s=0.0, users=None):
        self.delay_s, self.users = delay_s, users or {}
        self.port = free_port()
        self.asked, self.gone, self.server = [], 0, None
        self.bodies = {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with backend.lock:
                    backend.connections.add(self.connection)

            def finish(self):
                with backend.lock:
                    backend.connections.discard(self.connection)

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                status, body, headers = backend.bodies.get(self.path, (404, b"", ()))
                self.answer(status, body, headers)

            def do_POST(self):
                wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                backend.asked.append(wish["username"])
                self.wait()
                password = backend.users.get(wish["username"])
                self.answer(404 if password is None else 200, json.dumps({"password": password}).encode())

            def wait(self):
                """Sleeps, and looks every few milliseconds whether the client is still there."""
                end = time.monotonic() + backend.delay_s
                self.connection.settimeout(0.005)
                while (left := end - time.monotonic()) > 0:
                    if backend.delay_s < 1:
                        time.sleep(left)
                        break
                    try:
                        if not self.connection.recv(1):
                            backend.gone += 1
                            raise ConnectionAbortedError
                    except TimeoutError:
                        pass
                self.connection.settimeout(None)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 512

            def handle_error(self, *_):
                pass

        self.lock, self.connections = threading.Lock(), set()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self):
        """No more answers: the port is closed, and so are the connections."""
        if not self.server:
            return
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.connections:
                connection.close() if connection.fileno() < 0 else connection.shutdown(2)
        self.thread.join()
        self.server = None
