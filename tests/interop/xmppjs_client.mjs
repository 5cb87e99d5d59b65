// SPDX-License-Identifier: Apache-2.0
// A phone by @xmpp/client, driven by lines (clients.py has the protocol): commands on stdin, events
// on stdout, fields apart by TAB. Usage: node xmppjs_client.mjs MODULE_FOLDER USER/RESOURCE PASSWORD
// HOST DOMAIN. The library comes from the folder it was installed into, not from beside this file.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [folder, account, password, host, domain] = process.argv.slice(2);
const require = createRequire(join(folder, "anything.js"));
const { client, xml } = await import(pathToFileURL(require.resolve("@xmpp/client")));
const [username, resource] = account.split("/");
const tell = (...fields) => process.stdout.write(fields.join("\t") + "\n");

const entity = client({ service: `xmpp://${host}:5222`, domain, resource, username, password });
entity.reconnect.stop();

const queries = {
  ping: () => xml("ping", "urn:xmpp:ping"),
  disco: () => xml("query", "http://jabber.org/protocol/disco#info"),
  version: () => xml("query", "jabber:iq:version"),
};

const answers = {
  ping: () => tell("pong"),
  disco: (query) => tell("disco", query.getChildren("feature").map((f) => f.attrs.var).join(" ")),
  version: (query) => tell("version", query.getChildText("name")),
};

entity.on("online", async (address) => {
  await entity.send(xml("presence"));
  tell("online", address.toString());
});
entity.on("stanza", (stanza) => {
  if (!stanza.is("message")) return;
  tell("message", stanza.attrs.from, stanza.attrs.id ?? "", stanza.getChildText("subject") ?? "",
    stanza.getChildText("body") ?? "");
});
entity.on("error", (error) => tell("stream-error", error.condition ?? error.message));
entity.on("disconnect", () => {
  tell("closed", "0");
  process.exit(0);
});

createInterface({ input: process.stdin }).on("line", async (line) => {
  const [verb, to, body] = line.split("\t");
  try {
    if (verb === "send") {
      await entity.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
    } else if (verb === "quit") {
      await entity.stop();
    } else {
      const type = "get";
      const iq = await entity.iqCaller.request(xml("iq", { type, to: domain }, queries[verb]()), 5000);
      answers[verb](iq.getChildElements()[0]);
    }
  } catch (error) {
    tell("failed", verb, error.condition ?? error.message);
  }
});

entity.start().catch((error) => {
  tell("failed", "login", error.condition ?? error.message);
  process.exit(1);
});
