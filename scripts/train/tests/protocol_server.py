"""A server with the OpenAI completions and the LibreTranslate protocol that misbehaves as the text sent to it says.

A text with a directive [[id=NAME FAULT times=N]] gets FAULT for the first N requests (default 1) that carry this id:

    status=500            this status; retry_after=2 adds the header
    hang=5                an answer only after so many seconds
    close=yes             the connection closed without an answer
    answer=json           something that is no JSON; html: a page; missing: no field; null: a field that is no text
    die=yes               the whole process ends without an answer

GET /counts gives the number of requests by id, GET /last the last request's body.

As a program it says its port on the first line of its output.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.request import urlopen

OPENAI_FIELDS = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "n"}
DIRECTIVE = re.compile(r"\[\[([^\[\]]*)\]\]")


class ServerProcess:
    """A server in a process of its own, on a free port of this machine."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts it; again on the same port if it ran before."""
        command = [sys.executable, __file__, "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def get(self, path: str) -> Any:
        with urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def count(self, id_: str) -> int:
        return self.get("/counts").get(id_, 0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    counts: ClassVar[Counter[str]] = Counter()
    last: ClassVar[dict[str, Any]] = {}
    api_key: str | None = None
    max_chars: int | None = None
    is_strict = False

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer_json({"/counts": dict(self.counts), "/last": self.last}.get(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).last = body | {"authorization": self.headers.get("Authorization")}
        is_completion = self.path == "/v1/completions"
        if not is_completion and self.path != "/translate":
            self._answer(404, "text/plain", f"no {self.path} here")
            return
        text = body["prompt"] if is_completion else body["q"]
        if self._misbehaves(text, "choices" if is_completion else "translatedText"):
            return
        key = (self.headers.get("Authorization") or "")[len("Bearer ") :] if is_completion else body.get("api_key")
        if self.api_key is not None and key != self.api_key:
            self._answer(401, "application/json", '{"error": "wrong key"}')
        elif is_completion and self.is_strict and (unknown := set(body) - OPENAI_FIELDS):
            self._answer(400, "application/json", json.dumps({"error": f"unknown fields: {sorted(unknown)}"}))
        elif self.max_chars is not None and len(text) > self.max_chars:
            self._answer(413, "application/json", '{"error": "too long"}')
        elif is_completion:
            said = f" after {len(text)}, {body['max_tokens']} tokens at {body['temperature']}, seed {body['seed']}"
            length = max(1, body["max_tokens"] // 25)  # fewer tokens than asked for, but more with more asked for
            self._answer_json({"object": "text_completion", "choices": [{"index": 0, "text": said * length}]})
        else:
            lines = [f"{line} ({body['target']})" if line.strip() else line for line in text.split("\n")]
            self._answer_json({"translatedText": "\n".join(lines)})

    def _misbehaves(self, text: str, field: str) -> bool:
        match = DIRECTIVE.search(text)
        if match is None:
            return False
        options = dict(option.split("=", 1) for option in match[1].split())
        with self.lock:
            self.counts[options["id"]] += 1
            if self.counts[options["id"]] > int(options.get("times", 1)):
                return False
        if "die" in options:
            os._exit(1)
        if "close" in options:
            self.close_connection = True
        elif "hang" in options:
            time.sleep(float(options["hang"]))
            return False
        elif "status" in options:
            headers = {"Retry-After": options["retry_after"]} if "retry_after" in options else {}
            self._answer(int(options["status"]), "text/plain", "as you wish", headers)
        elif "answer" in options:
            content = {
                "json": '{"choices": [',
                "html": "<html><body>Sign in</body></html>",
                "missing": '{"object": "nothing"}',
                "null": json.dumps({field: [{"text": None}] if field == "choices" else None}),
            }[options["answer"]]
            self._answer(200, "text/html" if options["answer"] == "html" else "application/json", content)
        else:
            return False
        return True

    def _answer_json(self, value: Any) -> None:
        self._answer(200, "application/json", json.dumps(value))

    def _answer(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are what tests are about."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--api-key", help="refuse requests without it")
    parser.add_argument("--max-chars", type=int, help="answer 413 to longer texts")
    parser.add_argument("--strict", action="store_true", help="refuse fields that OpenAI does not have")
    args = parser.parse_args()
    Handler.api_key, Handler.max_chars, Handler.is_strict = args.api_key, args.max_chars, args.strict
    server = QuietServer(("127.0.0.1", args.port), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
