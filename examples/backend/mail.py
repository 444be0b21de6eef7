# Mails whoever a message has not reached. WEBHOOK_URL=http://localhost:4000 WEBHOOK_EVENTS=message.unreached
import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
mailed = set()  # an event may come twice, with the same id


def mail(to, subject, text):  # your mailer stands here
    print(f"to {to}: {subject}: {text}", flush=True)


def is_ours(headers, body):
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    is_new = abs(time.time() - int(headers["webhook-timestamp"] or 0)) < 300
    return is_new and hmac.compare_digest(right, headers["webhook-signature"] or "")


class Events(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not is_ours(self.headers, body):
            return self.answer(401)
        event = json.loads(body)
        data = event["data"]
        if event["type"] == "message.unreached" and data["message"] and event["id"] not in mailed:
            message = data["message"]
            for user in data["recipients"]:
                if user["email"]:
                    mail(user["email"], f"{message['sender']['username']} wrote to you", message["content"])
            mailed.add(event["id"])
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 4000))), Events)
print("listening", flush=True)
server.serve_forever()
