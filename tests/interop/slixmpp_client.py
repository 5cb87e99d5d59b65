#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A phone by slixmpp, driven by lines (clients.py has the protocol): commands on stdin, events on
stdout, fields apart by TAB.

    slixmpp_client.py [--register] JID PASSWORD HOST
"""
import asyncio
import logging
import sys

logging.getLogger("slixmpp.stringprep").setLevel(logging.ERROR)

import slixmpp  # noqa: E402  (it complains while it is imported)
from slixmpp.exceptions import IqError, IqTimeout  # noqa: E402


def tell(*fields):
    print("\t".join(str(field) for field in fields), flush=True)


class Phone(slixmpp.ClientXMPP):
    def __init__(self, jid, password, register):
        super().__init__(jid, password)
        self.over = asyncio.get_event_loop().create_future()
        for plugin in ("xep_0030", "xep_0092", "xep_0199"):
            self.register_plugin(plugin)
        self.is_registered = not register
        if register:
            self.register_plugin("xep_0077", {"create_account": False})
            self._always_send_everything = True  # else it keeps the request until it has a session
        self.add_event_handler("session_start", self.go_online)
        self.add_event_handler("message", self.take)
        self.add_event_handler("stream_error", lambda e: tell("stream-error", e["condition"]))
        self.add_event_handler("failed_all_auth", lambda _: self.end("failed", "login"))
        self.add_event_handler("disconnected", lambda _: self.end("closed", 0))

    def end(self, *fields):
        if not self.over.done():
            tell(*fields)
            self.over.set_result(None)

    def go_online(self, _):
        self.send_presence()
        tell("online", self.boundjid.full)

    async def _handle_stream_features(self, features):
        if self.is_registered or await self.make_account():
            return await super()._handle_stream_features(features)
        return True

    async def make_account(self):
        iq = self.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        try:
            await iq.send(timeout=5)
        except (IqError, IqTimeout) as fault:
            self.end("failed", "register", getattr(fault, "condition", "timeout"))
            return False
        self.is_registered = True
        tell("registered", self.boundjid.user)
        return True

    def take(self, message):
        tell("message", message["from"].full, message["id"], message["subject"], message["body"])

    async def obey(self, line):
        verb, _, rest = line.partition("\t")
        try:
            if verb == "send":
                to, _, body = rest.partition("\t")
                self.send_message(mto=to, mbody=body, mtype="chat")
            elif verb == "ping":
                await self.plugin["xep_0199"].send_ping(self.boundjid.domain, timeout=5)
                tell("pong")
            elif verb == "disco":
                info = await self.plugin["xep_0030"].get_info(jid=self.boundjid.domain, timeout=5)
                tell("disco", " ".join(info["disco_info"]["features"]))
            elif verb == "version":
                answer = await self.plugin["xep_0092"].get_version(self.boundjid.domain, timeout=5)
                tell("version", answer["software_version"]["name"])
            elif verb == "quit":
                await self.disconnect()
        except (IqError, IqTimeout) as fault:
            tell("failed", verb, getattr(fault, "condition", "timeout"))


async def run(jid, password, host, register):
    phone = Phone(jid, password, register)
    phone.connect((host, 5222), disable_starttls=True, use_ssl=False, force_starttls=False)
    lines = asyncio.StreamReader()
    await asyncio.get_event_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def commands():
        while line := await lines.readline():
            asyncio.ensure_future(phone.obey(line.decode().rstrip("\n")))

    task = asyncio.ensure_future(commands())
    await asyncio.wait([task, phone.over], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.05)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--register"]
    if len(arguments) != 3:
        sys.exit(__doc__)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(run(*arguments, "--register" in sys.argv))
    sys.stdout.flush()
    import os
    os._exit(0)  # the library leaves tasks behind that complain when the loop closes


if __name__ == "__main__":
    main()
