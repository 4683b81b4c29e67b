"""mock.py - serves the page as the gateway does, bytes and headers, and answers its requests as a test says."""
import http.server
import json
import threading
import time
import urllib.error
import urllib.request


class Mock:
    def __init__(self, gateway_port):
        r = urllib.request.urlopen(f"http://127.0.0.1:{gateway_port}/")
        self.page, self.head = r.read(), dict(r.headers)
        try:
            self.katex = urllib.request.urlopen(f"http://127.0.0.1:{gateway_port}/katex.js").read()
        except urllib.error.HTTPError:
            self.katex = None  # the build had none
        self.openapi = json.load(urllib.request.urlopen(f"http://127.0.0.1:{gateway_port}/openapi.json"))
        self.info = {"id": "mock", "state": "ready", "architecture": "A", "tokenizer": "t", "max_model_len": 512, "kv_blocks": 4,
                     "kv_blocks_held": 1, "running": 0, "waiting": 0, "steps": 1, "uptime_s": 1, "rank": []}
        self.pieces, self.script, self.bodies, self.delay, self.token_strs, self.gate = ["a"], [], [], 0, ["t"], None
        self.place, self.request, self.title = 0, None, None
        mock = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body, head):
                self.send_response(status)
                for k, v in {"Content-Length": len(body), **head}.items():
                    self.send_header(k, str(v))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the page was left

            def json(self, status, j, **head):
                self.answer(status, json.dumps(j).encode(), {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in head.items()}})

            def do_GET(self):
                if self.path == "/":
                    self.answer(200, mock.page, {k: v for k, v in mock.head.items() if k in ("Content-Type", "Content-Security-Policy")})
                elif self.path == "/katex.js":
                    self.answer(200 if mock.katex else 404, mock.katex or b"", {"Content-Type": "text/javascript"})
                elif self.path == "/openapi.json":
                    self.json(200, mock.openapi)
                elif self.path == "/server_info":
                    self.json(200, {"models": [mock.info], **({"title": mock.title} if mock.title else {})})
                elif self.path.startswith("/v1/requests/"):
                    self.json(200, {"id": self.path[13:], "queue_place": mock.place if self.path[13:] == mock.request else 0})
                else:
                    self.json(200, {"status": "ok"})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mock.bodies.append((self.path, body))
                mock.request = self.headers["X-Request-Id"]
                if self.path == "/tokenize":
                    self.json(200, {"count": len(mock.token_strs), "tokens": list(range(len(mock.token_strs))), "token_strs": mock.token_strs})
                    return
                how = mock.script.pop(0) if mock.script else {}
                if "status" in how:
                    self.json(how["status"], {"error": {"message": how.get("message", "no"), "type": "x", "param": None, "code": how.get("code")}},
                              **({"Retry_After": how["retry"]} if "retry" in how else {}))
                    return
                self.stream("chat" in self.path, body, how)

            def event(self, j):
                data = b"data: " + (j if isinstance(j, bytes) else json.dumps(j).encode()) + b"\n\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def stream(self, chat, body, how):
                base = {"id": "cmpl-1", "model": "mock", "system_fingerprint": how.get("fingerprint", "f/n")}
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                pieces = how.get("pieces", how.get("deltas", mock.pieces))
                try:
                    for i, p in enumerate(pieces):
                        if mock.delay:
                            time.sleep(mock.delay)
                        if mock.gate and i == len(pieces) // 2:
                            mock.gate.wait(20)
                        p_text = str(p)
                        lp = {"tokens": [p_text], "token_logprobs": [-0.5], "top_logprobs": [{p_text: -0.5, "other" + p_text: -1.5}], "text_offset": [0]}
                        c = {"index": 0, "finish_reason": None, "token_ids": [i + 10], **({"delta": p if "deltas" in how else {"content": p}} if chat else {"text": p, "logprobs": lp})}
                        self.event({**base, "choices": [c]})
                        if how.get("cut") == i:
                            time.sleep(0.2)  # what is not yet read is lost with the connection
                            self.close_connection = True
                            self.connection.shutdown(2)
                            return
                        if how.get("error") == i:
                            self.event({"error": {"message": how["message"], "type": "x", "param": None, "code": "rank_failed"}})
                            return
                    last = {"index": 0, "finish_reason": how.get("finish", "length"), **({"delta": {}} if chat else {"text": "", "logprobs": None})}
                    self.event({**base, "choices": [last]})
                    self.event({**base, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(pieces), "total_tokens": 5 + len(pieces)}})
                    self.event(b"[DONE]")
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, path):
        return [b for p, b in self.bodies if p == path]
