# SPDX-License-Identifier: Apache-2.0
"""An XMPP stream over a plain kernel socket, for tests that must say exactly what goes out. It
knows no rules: what comes in is parsed by Expat and handed over element by element."""
import base64
import re
import select
import socket
import time
import xml.etree.ElementTree as ElementTree

from harness import ADDRESS, DOMAIN

CLIENT = "{jabber:client}"
STREAM = "{http://etherx.jabber.org/streams}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
HEADER = ("<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")


class Closed(Exception):
    """The peer's TCP is over; str() is 'end' or 'reset'."""


class Stream:
    def __init__(self, server, prepare=None, source=None, timeout=10, host=ADDRESS):
        self.socket = server.connect(host, prepare=prepare, source=source, timeout=timeout)
        self.timeout = timeout
        self.parser = None
        self.depth = 0
        self.ready = []
        self.closed_by = None    # 'end' or 'reset' once the peer's TCP is over
        self.is_stream_closed = False  # </stream:stream> came
        self.header = None
        self.jid = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # -- out --

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def open(self, domain=DOMAIN):
        """A new stream header; returns the features."""
        self.parser = ElementTree.XMLPullParser(("start", "end"))
        self.depth = 0
        self.send(HEADER % domain)
        return self.take()

    # -- in --

    def take(self, seconds=None):
        """The next whole element below the root; Closed when TCP is over first."""
        end = time.monotonic() + (self.timeout if seconds is None else seconds)
        while not self.ready:
            if self.closed_by is not None:
                raise Closed(self.closed_by)
            if not self._read(end - time.monotonic()):
                raise TimeoutError("nothing came")
        return self.ready.pop(0)

    def take_until(self, is_wanted, seconds=None):
        end = time.monotonic() + (self.timeout if seconds is None else seconds)
        while True:
            element = self.take(max(end - time.monotonic(), 0.001))
            if is_wanted(element):
                return element

    def silence(self, seconds):
        """Nothing may come in that time."""
        try:
            element = self.take(seconds)
        except TimeoutError:
            return
        raise AssertionError("unexpected " + ElementTree.tostring(element, "unicode"))

    def rest(self, seconds=None):
        """Everything until the peer's TCP is over."""
        elements = []
        try:
            while True:
                elements.append(self.take(seconds))
        except Closed:
            return elements

    def _read(self, seconds):
        readable, _, _ = select.select([self.socket], [], [], max(seconds, 0))
        if not readable:
            return False
        try:
            octets = self.socket.recv(1 << 18)
        except ConnectionResetError:
            self.closed_by = "reset"
            return True
        if not octets:
            self.closed_by = "end"
            return True
        if self.parser is not None:
            self.parser.feed(octets)
            self._collect()
        return True

    def _collect(self):
        for event, element in self.parser.read_events():
            if event == "start":
                self.depth += 1
                if self.depth == 1:
                    self.header = element
                continue
            self.depth -= 1
            if self.depth == 1:
                self.ready.append(element)
            elif self.depth == 0:
                self.is_stream_closed = True

    # -- conversations --

    def plain(self, name, password):
        text = base64.b64encode(b"\0%s\0%s" % (name.encode(), password.encode())).decode()
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>" % text)
        return self.take()

    def login(self, name, password, resource="raw", presence=True):
        """To a bound session, online unless told otherwise; returns self."""
        self.open()
        outcome = self.plain(name, password)
        assert outcome.tag == SASL + "success", ElementTree.tostring(outcome, "unicode")
        self.open()
        self.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                  "<resource>%s</resource></bind></iq>" % resource)
        answer = self.take()
        assert answer.get("type") == "result", ElementTree.tostring(answer, "unicode")
        self.jid = answer[0][0].text
        if presence:
            self.send("<presence/>")
            self.ping()
        return self

    def ping(self, seconds=None):
        """A round trip: everything sent before it has been dealt with."""
        self.send("<iq type='get' id='beat' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>" % DOMAIN)
        kept, answer = [], None
        while answer is None:
            element = self.take(seconds)
            if element.tag == CLIENT + "iq" and element.get("id") == "beat":
                answer = element
            elif element.tag != CLIENT + "presence":
                kept.append(element)
        self.ready = kept + self.ready
        assert answer.get("type") == "result", ElementTree.tostring(answer, "unicode")

    def message(self, to, body, kind="chat"):
        self.send("<message type='%s' to='%s'><body>%s</body></message>" % (kind, to, escape(body)))

    def take_message(self, seconds=None):
        return self.take_until(lambda element: element.tag == CLIENT + "message", seconds)

    def error(self, seconds=None):
        """The condition of the stream error that ends this stream, and how TCP ended."""
        condition = None
        for element in self.rest(seconds):
            if element.tag == STREAM + "error":
                condition = re.sub("{.*}", "", element[0].tag)
        return condition

    def close(self):
        """The polite end, both ways."""
        self.send("</stream:stream>")
        self.rest()
        assert self.is_stream_closed, "no closing tag"
        self.socket.close()


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def body_of(message):
    return message.findtext(CLIENT + "body")
