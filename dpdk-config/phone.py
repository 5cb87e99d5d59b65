#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Devices by a real client library (slixmpp): each logs in, goes online and prints what arrives.

    phone.py [--seconds N] [--count N] USER:PASSWORD [USER:PASSWORD ...]

Lines: `online JID`, then `arrived JID WALL_SECONDS ID SUBJECT`. Ends when every device got --count
messages (exit 0), or after --seconds (exit 0 without --count, else 1).
"""
import argparse
import asyncio
import logging
import sys
import time

logging.getLogger("slixmpp.stringprep").setLevel(logging.ERROR)

import slixmpp  # noqa: E402  (it complains while it is imported)


class Phone(slixmpp.ClientXMPP):
    def __init__(self, name, password, domain):
        super().__init__("%s@%s/phone" % (name, domain), password)
        self.arrived = 0
        self.refused = False
        self.add_event_handler("session_start", self.go_online)
        self.add_event_handler("message", self.take)
        self.add_event_handler("failed_all_auth", self.fail)

    async def go_online(self, _):
        self.send_presence()
        await self.get_roster()
        print("online", self.boundjid.full, flush=True)

    def take(self, message):
        self.arrived += 1
        print("arrived", self.boundjid.full, "%.6f" % time.time(), message["id"],
              message["subject"] or message["body"], flush=True)

    def fail(self, _):
        self.refused = True
        print("refused", self.boundjid.full, flush=True)


async def run(options):
    phones = []
    for account in options.accounts:
        name, _, password = account.partition(":")
        phone = Phone(name, password, options.domain)
        phone.connect((options.host, options.port), disable_starttls=True, use_ssl=False,
                      force_starttls=False)
        phones.append(phone)
    end = time.monotonic() + options.seconds
    is_done = False
    while time.monotonic() < end and not is_done:
        await asyncio.sleep(0.02)
        if any(phone.refused for phone in phones):
            return 1
        is_done = options.count > 0 and all(p.arrived >= options.count for p in phones)
    for phone in phones:
        phone.disconnect()
    await asyncio.sleep(0.3)
    return 0 if is_done or options.count == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accounts", nargs="+", metavar="USER:PASSWORD")
    parser.add_argument("--host", default="10.99.0.2")
    parser.add_argument("--port", type=int, default=5222)
    parser.add_argument("--domain", default="stentor.local")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--count", type=int, default=0)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(run(parser.parse_args()))
    for task in asyncio.all_tasks(loop):  # the library leaves its filters running
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    sys.exit(code)


if __name__ == "__main__":
    main()
