# An auction by events of its own. FORWARD_URL=http://localhost:4000
import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["FORWARD_SECRET"].removeprefix("whsec_"))


def is_ours(headers, body):
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    is_new = abs(time.time() - int(headers["webhook-timestamp"] or 0)) < 300
    return is_new and hmac.compare_digest(right, headers["webhook-signature"] or "")


highest = {}  # item -> bid


def answer(event, args, user):
    if event != "auction:bid":
        return {"ack": [{"accepted": False, "reason": f"nobody knows {event}"}]}
    item, price = args[0]["item"], args[0]["price"]
    if price <= highest.get(item, {"price": 0})["price"]:
        return {"ack": [{"accepted": False, "reason": "too low"}]}
    highest[item] = {"price": price, "by": user["id"]}
    data = {"item": item, "price": price, "by": user["username"]}
    return {"ack": [{"accepted": True}], "emit": [{"to": {"room": f"auction-{item}"}, "event": "auction:leads", "data": data}]}


class Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ours = is_ours(self.headers, body)
        data = json.loads(body)["data"]
        said = json.dumps(answer(data["event"], data["args"], data["user"])).encode() if ours else b""
        self.send_response(200 if ours else 401)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 4000))), Events)
print("listening", flush=True)
server.serve_forever()
