"""The outside of a soak: a server that does what it is asked once for each key, and counts.

`/keyed/…` does its work once for each Idempotency-Key; `/flaky/…` refuses the first two requests (503) before it does anything; `/once/…`
knows no keys, so that a second request would do the work again. Each answer is `{"n": number_of(path)}`.
"""

import http.server
import json
import random
import threading
import time
import zlib

LATENCY = (0.005, 0.15)
REFUSALS = 2


def number_of(path: str) -> int:
    """What the server answers to a path."""
    return zlib.crc32(path.encode()) % 1000


class Asked:
    """What was asked of one path."""

    def __init__(self) -> None:
        self.requests = 0
        self.refused = 0
        self.keys: set[str] = set()
        self.done: list[str] = []
        self.in_flight = 0


class Counter:
    """The server, in threads of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: dict[str, Asked] = {}
        self.arrived = threading.Condition(self.lock)
        self.total = 0
        counter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status = counter.serve(self.path, self.headers.get("idempotency-key") or "")
                body = json.dumps({"n": number_of(self.path)}).encode() if status == 200 else b"{}"
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.send_header("Content-Type", "application/json")
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # Whoever asked was killed.

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # A connection of a process that was killed.

        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(self, path: str, key: str) -> int:
        with self.lock:
            asked = self.asked.setdefault(path, Asked())
            asked.requests += 1
            asked.in_flight += 1
            self.total += 1
            asked.keys.add(key)
            self.arrived.notify_all()
            is_refused = path.startswith("/flaky/") and asked.refused < REFUSALS
            asked.refused += is_refused
        # Half of the time before the work and half after it: a kill falls on either side.
        time.sleep(random.uniform(*LATENCY) / 2)
        with self.lock:
            if not is_refused and (path.startswith("/once/") or key not in asked.done):
                asked.done.append(key)
        time.sleep(random.uniform(*LATENCY) / 2)
        with self.lock:
            asked.in_flight -= 1
        return 503 if is_refused else 200

    def await_request(self, seconds: float) -> None:
        """Waits until the next request arrives, or so long."""
        with self.lock:
            self.arrived.wait(seconds)

    def was_done(self, path: str) -> bool:
        """Whether the work of a path was done; waits until nobody is at it."""
        while True:
            with self.lock:
                asked = self.asked.get(path)
                if asked is None or asked.in_flight == 0:
                    return asked is not None and bool(asked.done)
            time.sleep(0.02)
