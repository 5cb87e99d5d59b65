/* SPDX-License-Identifier: Apache-2.0
 *
 * The stanza mix of `stentor-bench xml`. Each template is a stanza with fields in it:
 *   %i an id   %u a user   %r a resource   %t a text of some language   %n a short number
 *   %h a base64 hash   %d a date   %p the name of a person
 * and a weight, how often of a thousand it comes. */
#include "xml_traffic.h"

static const struct template
{
    uint32_t weight;
    const char *text;
}
templates[] = {
    /* presence */
    {90, "<presence id=\"%i\"><c xmlns=\"http://jabber.org/protocol/caps\" hash=\"sha-1\" "
         "node=\"https://conversations.im\" ver=\"%h\"/><priority>%n</priority></presence>"},
    {60, "<presence from='%u@chat.example.org/%r' to='%u@chat.example.org' xml:lang='en'>"
         "<show>away</show><status>%t</status><c xmlns='http://jabber.org/protocol/caps' "
         "hash='sha-1' node='http://gajim.org' ver='%h'/></presence>"},
    {30, "<presence type=\"unavailable\"/>"},
    {20, "<presence to='%u@chat.example.org' type='subscribed' id='%i'/>"},
    /* chat */
    {200, "<message to=\"%u@chat.example.org\" id=\"%i\" type=\"chat\"><body>%t</body>"
          "<request xmlns=\"urn:xmpp:receipts\"/><markable xmlns=\"urn:xmpp:chat-markers:0\"/>"
          "<origin-id xmlns=\"urn:xmpp:sid:0\" id=\"%i\"/></message>"},
    {110, "<message type='chat' id='%i' from='%u@chat.example.org/%r' to='%u@chat.example.org'>"
          "<active xmlns='http://jabber.org/protocol/chatstates'/><body>%t</body></message>"},
    {60, "<message to='%u@chat.example.org' type='chat' id='%i'>"
         "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"},
    {80, "<message to=\"%u@chat.example.org/%r\" id=\"%i\"><received xmlns=\"urn:xmpp:receipts\" "
         "id=\"%i\"/></message>"},
    /* roster */
    {20, "<iq type=\"get\" id=\"%i\"><query xmlns=\"jabber:iq:roster\" ver=\"%n\"/></iq>"},
    {12, "<iq id='%i' type='result' to='%u@chat.example.org/%r'><query xmlns='jabber:iq:roster' "
         "ver='ver%n'><item jid='%u@chat.example.org' name='%p' subscription='both'><group>Friends"
         "</group></item><item jid='%u@chat.example.org' subscription='both'/><item "
         "jid='%u@example.net' name='%u' subscription='to'><group>Work</group></item><item "
         "jid='%u@chat.example.org' subscription='both'><group>Friends</group></item></query>"
         "</iq>"},
    {20, "<iq from='%u@chat.example.org/%r' id='%i' type='set'><query xmlns='jabber:iq:roster'>"
         "<item jid='%u@example.net' name='%p'><group>Work</group></item></query></iq>"},
    /* ping, disco, acknowledgements */
    {50, "<iq type='get' id='%i' to='chat.example.org'><ping xmlns='urn:xmpp:ping'/></iq>"},
    {50, "<iq to=\"chat.example.org\" type=\"result\" id=\"%i\"/>"},
    {20, "<iq type='get' id='%i' to='%u@chat.example.org/%r'><query "
         "xmlns='http://jabber.org/protocol/disco#info' node='http://gajim.org#%h'/></iq>"},
    {40, "<r xmlns='urn:xmpp:sm:3'/>"},
    {40, "<a xmlns='urn:xmpp:sm:3' h='%n'/>"},
    /* pushes and their receipts */
    {60, "<iq type=\"set\" id=\"%i\" to=\"%u@chat.example.org/AndroidpnClient\"><notification "
         "xmlns=\"androidpn:iq:notification\"><id>%i</id><apiKey>1234567890</apiKey><title>%t"
         "</title><message>%t</message><uri>https://example.org/news/%n</uri></notification></iq>"},
    {38, "<message from='push.example.org' to='%u@chat.example.org' id='%i' type='headline'>"
         "<subject>%t</subject><body>%t</body><x xmlns='jabber:x:oob'><url>"
         "https://example.org/a?b=%n&amp;c=%n</url></x><delay xmlns='urn:xmpp:delay' "
         "from='push.example.org' stamp='%d'/></message>"},
};

static const char *const texts[] = {
    "ok",
    "On my way, ten minutes",
    "Did you see the game last night? That last goal was unbelievable!",
    "Meeting moved to 3 pm, room 204. Please bring the printed report &amp; the slides.",
    "I'll call you later \xF0\x9F\x91\x8D",
    "\xE4\xBB\x8A\xE5\xA4\xA9\xE6\x99\x9A\xE4\xB8\x8A\xE4\xB8\x80\xE8\xB5\xB7\xE5\x90\x83\xE9\xA5"
    "\xAD\xE5\x90\x97\xEF\xBC\x9F",
    "\xE6\x98\x8E\xE6\x97\xA5\xE3\x81\xAE\xE4\xBC\x9A\xE8\xAD\xB0\xE3\x81\xAF\xE5\x8D\x81\xE6\x99"
    "\x82\xE3\x81\x8B\xE3\x82\x89\xE3\x81\xA7\xE3\x81\x99",
    "\xEB\x82\xB4\xEC\x9D\xBC \xEB\xB4\x90\xEC\x9A\x94",
    "haha \xF0\x9F\x98\x82\xF0\x9F\x98\x82\xF0\x9F\x98\x82",
    "\xE6\x82\xA8\xE7\x9A\x84\xE8\xAE\xA2\xE5\x8D\x95\xE5\xB7\xB2\xE5\x8F\x91\xE8\xB4\xA7 "
    "\xF0\x9F\x93\xA6",
    "Caf\xC3\xA9 at noon?",
    "The build is green again. I reverted the change from yesterday, it broke the reconnect path "
    "when the network comes back with another address. Will look at it properly tomorrow.",
    "Breaking: city council approves new tram line",
    "yes",
    "see https://example.org/photos/2026/summer?id=42&amp;size=large",
    "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xD0\xBA\xD0\xB0\xD0\xBA \xD0\xB4\xD0\xB5"
    "\xD0\xBB\xD0\xB0?",
};

static const char *const users[] = {"romeo",    "juliet", "mercutio", "nurse.angelica", "wei.zhang",
                                    "hanako_s", "b2d8e1", "olga",     "device-00417",   "max"};
static const char *const persons[] = {"Romeo", "Juliet C.", "\xE7\x8E\x8B\xE4\xBC\x9F",
                                      "Anna M\xC3\xBCller", "Work phone"};
static const char *const resources[] = {"Conversations.h2Gq", "gajim.4MZ8TX0Q", "phone",
                                        "AndroidpnClient", "dino.9c1f2e7a"};

/* splitmix64 of Vigna's description: any fixed sequence serves, the stream must only repeat. */
static uint32_t pick(uint64_t *seed, uint32_t count)
{
    *seed += 0x9E3779B97F4A7C15u;
    uint64_t x = *seed;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(((x ^ x >> 31) >> 32) * count >> 32);
}

static void write_letters(struct writer *into, uint64_t *seed, uint32_t count)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (uint32_t i = 0; i < count; i++)
        write_u8(into, (uint8_t)alphabet[pick(seed, 64)]);
}

static void write_id(struct writer *into, uint64_t *seed)
{
    uint8_t octets[16];
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)pick(seed, 256);
    if (pick(seed, 2) == 0) {
        write_hex(into, bytes_of(octets, 4));
        return;
    }
    write_hex(into, bytes_of(octets, 4));
    for (size_t i = 4; i < 10; i += 2) {
        write_u8(into, '-');
        write_hex(into, bytes_of(octets + i, 2));
    }
    write_u8(into, '-');
    write_hex(into, bytes_of(octets + 10, 6));
}

static void write_field(struct writer *into, uint64_t *seed, char field)
{
    switch (field) {
    case 'i':
        write_id(into, seed);
        break;
    case 'u':
        write_string(into, users[pick(seed, ARRAY_COUNT(users))]);
        break;
    case 'r':
        write_string(into, resources[pick(seed, ARRAY_COUNT(resources))]);
        break;
    case 't':
        write_string(into, texts[pick(seed, ARRAY_COUNT(texts))]);
        break;
    case 'p':
        write_string(into, persons[pick(seed, ARRAY_COUNT(persons))]);
        break;
    case 'n':
        write_decimal(into, pick(seed, 1000));
        break;
    case 'h':
        write_letters(into, seed, 27);
        write_u8(into, '=');
        break;
    default:
        write_string(into, "2026-03-0");
        write_u8(into, (uint8_t)('1' + pick(seed, 9)));
        write_string(into, "T12:34:56Z");
        break;
    }
}

void xml_traffic_header(struct writer *into)
{
    write_string(into, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                       "xmlns:stream='http://etherx.jabber.org/streams' to='chat.example.org' "
                       "version='1.0' xml:lang='en'>");
}

void xml_traffic_stanza(struct writer *into, uint64_t *seed)
{
    uint32_t left = pick(seed, 1000);
    const struct template *row = templates;
    while (left >= row->weight) {
        left -= row->weight;
        row++;
    }
    for (const char *at = row->text; *at != 0; at++) {
        if (*at != '%') {
            write_u8(into, (uint8_t)*at);
            continue;
        }
        write_field(into, seed, *++at);
    }
}
