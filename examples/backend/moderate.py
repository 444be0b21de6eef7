# Lets no telephone numbers pass. HOOK_URL=http://localhost:4000 HOOK_EVENTS=send,edit
import base64, hashlib, hmac, json, os, re, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["HOOK_SECRET"].removeprefix("whsec_"))


def is_ours(headers, body):
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    is_new = abs(time.time() - int(headers["webhook-timestamp"] or 0)) < 300
    return is_new and hmac.compare_digest(right, headers["webhook-signature"] or "")


def judge(content):
    if re.search(r"\d[\d /-]{6,}\d", content):
        return {"refuse": {"code": "PHONE_NUMBER", "message": "No telephone numbers, please"}}
    polite = re.sub(r"\bdamn\b", "****", content, flags=re.IGNORECASE)
    return {} if polite == content else {"message": {"content": polite}}


class Questions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ours = is_ours(self.headers, body)
        answer = json.dumps(judge(json.loads(body)["data"]["message"]["content"])).encode() if ours else b""
        self.send_response(200 if ours else 401)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 4000))), Questions)
print("listening", flush=True)
server.serve_forever()
