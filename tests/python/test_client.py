"""python-socketio's client talks with the built server: it has no connection state recovery, and pings as it likes."""
import asyncio
import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import socketio

SECRET = "a secret of the tests that is long enough"
LIMIT = 20
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrading": ["polling", "websocket"]}


def token(user):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"userId": user, "username": user, "exp": int(time.time()) + 600})
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Heard:
    """A client, and what it was told."""

    def __init__(self, **options):
        self.client = socketio.AsyncClient(**options)
        self.messages = asyncio.Queue()
        # Behind the message stands its offset, which is of use to clients with connection state recovery.
        self.client.on("new_message", lambda told, *_: self.messages.put_nowait(told))

    async def connect(self, url, user, transports):
        # One dialect: each would tell the same in its own words.
        auth = {"token": token(user), "dialect": "messenger"}
        await self.client.connect(url, auth=auth, transports=transports, wait_timeout=LIMIT)
        return self

    async def send(self, recipient, content):
        return await self.client.call("send_direct_message", {"recipientId": recipient, "content": content}, timeout=LIMIT)

    async def next(self):
        told = await asyncio.wait_for(self.messages.get(), LIMIT)
        return told["message"]["content"]


class Talking(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        cls.url = f"http://127.0.0.1:{port}"
        cls.folder = tempfile.TemporaryDirectory()
        cls.log = open(os.path.join(cls.folder.name, "log"), "w+")
        given = {"HOST": "127.0.0.1", "PORT": str(port), "DATA_DIR": cls.folder.name, "JWT_SECRET": SECRET, "AUTO_PROVISION_USERS": "true"}
        environment = {"PATH": os.environ["PATH"], "PING_INTERVAL": "2s", "PING_TIMEOUT": "2s", **given}
        command = [os.environ["PARLANCE_BINARY"], "serve"]
        cls.server = subprocess.Popen(command, cwd=cls.folder.name, env=environment, stdout=cls.log, stderr=cls.log)
        give_up = time.monotonic() + LIMIT
        while True:
            try:
                return urllib.request.urlopen(f"{cls.url}/readyz", timeout=1).close()
            except OSError:
                if cls.server.poll() is not None or time.monotonic() > give_up:
                    cls.log.seek(0)
                    raise AssertionError(f"the server does not start:\n{cls.log.read()}")
                time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait(LIMIT)
        cls.log.close()
        cls.folder.cleanup()

    async def pair(self, name, transports, **options):
        users = [f"{who}-{name}" for who in ("ann", "bob")]
        clients = [await Heard(**options).connect(self.url, user, transports) for user in users]
        for heard in clients:
            self.addAsyncCleanup(heard.client.shutdown)
        return clients, users

    async def test_messages_are_acked_and_arrive_by_each_transport(self):
        for name, transports in TRANSPORTS.items():
            with self.subTest(name):
                (ann, bob), (_, to) = await self.pair(name, transports)
                for content in ("Hello!", "\u4f60\u597d \U0001f642", "x" * 100_000):
                    answer = await ann.send(to, content)
                    self.assertTrue(answer["success"], answer)
                    self.assertEqual(await bob.next(), content)

    async def test_a_connection_outlives_its_heartbeats(self):
        (ann, bob), (_, to) = await self.pair("heartbeats", TRANSPORTS["upgrading"], reconnection=False)
        sid = bob.client.get_sid()
        # Two round trips of the heartbeat, which this client answers by itself.
        give_up = time.monotonic() + 6
        while time.monotonic() < give_up:
            self.assertTrue((await ann.send(to, "still here"))["success"])
            self.assertEqual(await bob.next(), "still here")
            await asyncio.wait({asyncio.ensure_future(bob.client.eio.wait())}, timeout=1)
        self.assertEqual(bob.client.get_sid(), sid)

    async def test_what_was_said_meanwhile_comes_after_a_reconnect(self):
        (ann, bob), (_, to) = await self.pair("back", TRANSPORTS["websocket"], reconnection_delay=0.5, randomization_factor=0)
        await ann.send(to, "before")
        self.assertEqual(await bob.next(), "before")
        await bob.client.eio.ws.close()
        self.assertTrue((await ann.send(to, "meanwhile"))["success"])
        # What it had not proven to have comes again: this client says no offset.
        while (content := await bob.next()) != "meanwhile":
            self.assertEqual(content, "before")

    async def test_who_is_not_let_in_is_told_why(self):
        client, reasons = socketio.AsyncClient(reconnection=False), []
        client.on("connect_error", reasons.append)
        with self.assertRaises(socketio.exceptions.ConnectionError):
            await client.connect(self.url, auth={"token": "nonsense"}, wait_timeout=LIMIT)
        self.assertEqual([reason["message"] for reason in reasons], ["Authentication error: Invalid token"])
        self.assertEqual(reasons[0]["data"]["code"], "INVALID_TOKEN")

    async def test_refusals_come_in_acks(self):
        (ann, _), (_, to) = await self.pair("refused", TRANSPORTS["websocket"])
        refused = await ann.client.call("send_direct_message", {"recipientId": to}, timeout=LIMIT)
        self.assertEqual((refused["success"], refused["code"], refused["error"]), (False, "INVALID_PAYLOAD", "Missing content"))
        unknown = await ann.client.call("a-word-of-another-server", {}, timeout=LIMIT)
        self.assertEqual((unknown["success"], unknown["code"]), (False, "UNKNOWN_EVENT"))

    async def test_a_handler_gets_the_offset_as_one_more_argument(self):
        (ann, bob), (_, to) = await self.pair("offset", TRANSPORTS["websocket"])
        told = asyncio.get_running_loop().create_future()
        bob.client.on("new_message", lambda *arguments: told.set_result(arguments))
        await ann.send(to, "Hello!")
        payload, offset = await asyncio.wait_for(told, LIMIT)
        self.assertEqual((payload["message"]["content"], type(offset)), ("Hello!", str))

    async def test_without_recovery_every_handler_runs_with_the_payload_alone(self):
        declined = {"auth": lambda user: {"token": token(user), "recovery": False}, "query": lambda user: {"token": token(user)}}
        for name, transports in TRANSPORTS.items():
            for way, auth_of in declined.items():
                with self.subTest(f"{name} {way}"):
                    users = [f"{who}-plain-{name}-{way}" for who in ("ann", "bob")]
                    url = self.url if way == "auth" else f"{self.url}?recovery=false"
                    ran, heard = [], asyncio.Event()
                    ann, bob = socketio.AsyncClient(), socketio.AsyncClient(reconnection_delay=0.1, randomization_factor=0)
                    for client, user in zip((ann, bob), users):
                        for event in ("connected", "message:new", "directMessage", "message:receive", "new_message"):
                            # One parameter: with another argument python-socketio raises TypeError and never runs it.
                            async def handler(data, event=event, client=client):
                                if client is bob:
                                    ran.append(event)
                                    heard.set()
                            client.on(event, handler)
                        client.on("recovery:seed", lambda *_: ran.append("recovery:seed"))
                        await client.connect(url, auth=auth_of(user), transports=transports, wait_timeout=LIMIT)
                        self.addAsyncCleanup(client.shutdown)

                    async def until(count):
                        while len(ran) < count:
                            heard.clear()
                            await asyncio.wait_for(heard.wait(), LIMIT)

                    message = {"recipientId": users[1], "content": "Hello!"}
                    self.assertTrue((await ann.call("send_direct_message", message, timeout=LIMIT))["success"])
                    await until(5)
                    self.assertEqual(sorted(ran), sorted(["connected", "message:new", "directMessage", "message:receive", "new_message"]))

    async def test_without_recovery_what_was_missed_comes_at_the_return(self):
        for name, transports in TRANSPORTS.items():
            with self.subTest(name):
                users, told = [f"{who}-cut-{name}" for who in ("ann", "bob")], asyncio.Queue()
                ann, bob = socketio.AsyncClient(), socketio.AsyncClient(reconnection=False)

                async def handler(data):
                    told.put_nowait(data["message"]["content"])
                bob.on("new_message", handler)
                for client, user in zip((ann, bob), users):
                    auth = {"token": token(user), "dialect": "messenger", "recovery": False}
                    await client.connect(self.url, auth=auth, transports=transports, wait_timeout=LIMIT)
                    self.addAsyncCleanup(client.shutdown)
                await bob.eio.disconnect(abort=True)
                self.assertTrue((await ann.call("send_direct_message", {"recipientId": users[1], "content": "meanwhile"}, timeout=LIMIT))["success"])
                auth = {"token": token(users[1]), "dialect": "messenger", "recovery": False}
                await bob.connect(self.url, auth=auth, transports=transports, wait_timeout=LIMIT)
                self.assertEqual(await asyncio.wait_for(told.get(), LIMIT), "meanwhile")

    async def test_the_bot_of_the_documents_answers(self):
        with open(os.path.join(os.path.dirname(__file__), "../../docs/bots.md")) as page:
            program = page.read().split("```python\n")[1].split("```")[0].replace("http://localhost:3000", self.url)
        account = {"username": "echo-bot", "email": "echo-bot@example.org", "password": "a long password"}
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/auth/register", json.dumps(account).encode(), headers)
        with urllib.request.urlopen(request) as registered:
            bot = json.load(registered)["user"]["id"]
        running = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        try:
            (ann, _), _ = await self.pair("bot", TRANSPORTS["websocket"])
            # Before it is there, too: what it missed comes to it.
            await ann.send(bot, "Hello, bot!")
            self.assertEqual(await ann.next(), "You said: Hello, bot!")
        finally:
            running.kill()
            await running.wait()


if __name__ == "__main__":
    unittest.main()
