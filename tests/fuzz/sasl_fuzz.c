/* SPDX-License-Identifier: Apache-2.0
 *
 * The XMPP machine under any octets. The first octet says where they go: raw onto a fresh, an open
 * or a bound stream, or as SASL messages (separated by a line feed) of a mechanism. On the way the
 * stage reads everything the server says as XML, and every stanza it hands on. After it, nothing
 * may be left of the stream, and nobody but the two who know a password is logged in. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "play.h"
#include "stentor/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct play play;

static void start(void)
{
    struct config config;
    play_config(&config);
    config.xmpp_registration = true;
    config.xmpp_auth_tries = 10;
    play_begin_configured(&play, &config);
    play.store = PLAY_STORE_QUICK;
}

static void say_message(const char *before, struct bytes message, const char *after)
{
    static uint8_t room[65536];
    struct writer text = writer_of(room, sizeof(room));
    write_string(&text, before);
    write_base64(&text, message);
    write_string(&text, after);
    play_say_bytes(&play, writer_bytes(&text));
}

/* Each line a message: the first begins, the others respond. */
static void say_sasl(const char *auth, struct bytes lines)
{
    while (lines.size != 0) {
        size_t end = bytes_find(lines, '\n');
        struct bytes message = bytes_slice(lines, 0, end);
        say_message(auth, message, "</auth>");
        lines = bytes_from(lines, end + 1);
        end = bytes_find(lines, '\n');
        say_message("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>",
                    bytes_slice(lines, 0, end), "</response>");
        lines = bytes_from(lines, end + 1);
    }
}

/* SCRAM cannot succeed without the keys; PLAIN can, by the word "pencil". */
static void check(uint8_t mode)
{
    if (mode == 4 || mode == 5)
        ASSERT(!stream_is_authenticated(&play.stream));
    ASSERT(xmpp_negotiation_count(play.xmpp) <= 1);
    ASSERT(!stream_is_bound(&play.stream) || xmpp_negotiation_count(play.xmpp) == 0);
    ASSERT(!play.is_closed || stream_is_closing(&play.stream));
    xmpp_forget(play.xmpp, &play.stream);
    ASSERT(xmpp_negotiation_count(play.xmpp) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    if (size < 2 || size > 16384)
        return 0;
    if (play.xmpp == NULL)
        start();
    play_reconnect(&play);
    uint8_t mode = octets[0] % 6;
    struct bytes rest = bytes_of(octets + 2, size - 2);
    play.piece_bytes = 0;
    if (mode == 2)
        play_login(&play, "alice", "phone");
    else if (mode != 0)
        play_say(&play, PLAY_HEADER);
    play.piece_bytes = octets[1];
    if (mode < 3)
        play_say_bytes(&play, rest);
    else if (mode == 3)
        say_sasl("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>", rest);
    else if (mode == 4)
        say_sasl("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>", rest);
    else
        say_sasl("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>", rest);
    play.piece_bytes = 0;
    check(mode);
    play_heard(&play);
    return 0;
}
