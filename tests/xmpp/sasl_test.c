/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in and failing to: each failure condition of RFC 6120 6.5 that can arise, the same words
 * for a wrong password and a user that does not exist, and the limit on tries. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "play.h"

#define AUTH(mechanism, text)                                                                      \
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" mechanism "'>" text "</auth>"
#define RESPONSE(text) "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" text "</response>"
#define FAILURE(condition)                                                                         \
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><" condition "/></failure>"
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

static void expect(const char *say, const char *hear)
{
    struct play_line lines[] = {{PLAY_HEADER, "*"}, {say, hear}};
    PLAY_SCRIPT(lines, NULL);
}

/* PLAIN with an initial response, with an empty one, and with authzids right and wrong. */
static void test_plain(void **state)
{
    (void)state;
    static const struct play_line late[] = {
        {PLAY_HEADER, "*"},
        {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
         "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></challenge>"},
        {RESPONSE("AGFsaWNlAHBlbmNpbA=="), SUCCESS},
    };
    PLAY_SCRIPT(late, NULL);
    expect(AUTH("PLAIN", "AGFsaWNlAHBlbmNpbA=="), SUCCESS);
    /* alice@stentor.test NUL alice NUL pencil */
    expect(AUTH("PLAIN", "YWxpY2VAc3RlbnRvci50ZXN0AGFsaWNlAHBlbmNpbA=="), SUCCESS);
    /* ALICE: the same user */
    expect(AUTH("PLAIN", "AEFMSUNFAHBlbmNpbA=="), SUCCESS);
    /* bob@stentor.test NUL alice NUL pencil */
    expect(AUTH("PLAIN", "Ym9iQHN0ZW50b3IudGVzdABhbGljZQBwZW5jaWw="), FAILURE("invalid-authzid"));
    /* alice@stentor.test/x NUL alice NUL pencil */
    expect(AUTH("PLAIN", "YWxpY2VAc3RlbnRvci50ZXN0L3gAYWxpY2UAcGVuY2ls"),
           FAILURE("invalid-authzid"));
}

/* What is not PLAIN's message, not base64, not a mechanism. */
static void test_malformed(void **state)
{
    (void)state;
    expect(AUTH("PLAIN", "="), FAILURE("malformed-request"));
    expect(AUTH("PLAIN", "YWxpY2U="), FAILURE("malformed-request"));         /* no NUL */
    expect(AUTH("PLAIN", "AGFsaWNl"), FAILURE("malformed-request"));         /* one NUL */
    expect(AUTH("PLAIN", "AGFsaWNlAA=="), FAILURE("malformed-request"));     /* no password */
    expect(AUTH("PLAIN", "AABwZW5jaWw="), FAILURE("malformed-request"));     /* no user */
    expect(AUTH("PLAIN", "AGFsaWNlAHBlAG4="), FAILURE("malformed-request")); /* three NULs */
    expect(AUTH("PLAIN", "AP8AcGVuY2ls"), FAILURE("malformed-request"));     /* not UTF-8 */
    expect(AUTH("PLAIN", "AGFAYgBwZW5jaWw="), FAILURE("not-authorized"));    /* a@b is no user */
    expect(AUTH("PLAIN", "!!!!"), FAILURE("incorrect-encoding"));
    expect(AUTH("PLAIN", "AGFsaWNlAHBlbmNpbA"), FAILURE("incorrect-encoding"));
    expect(AUTH("PLAIN", " AGFsaWNlAHBlbmNpbA=="), FAILURE("incorrect-encoding"));
    expect(AUTH("DIGEST-MD5", "="), FAILURE("invalid-mechanism"));
    expect(AUTH("plain", "AGFsaWNlAHBlbmNpbA=="), FAILURE("invalid-mechanism"));
    expect(AUTH("SCRAM-SHA-256-PLUS", "="), FAILURE("invalid-mechanism"));
    expect("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", FAILURE("invalid-mechanism"));
    expect(AUTH("SCRAM-SHA-256", "bixhLG49dXNlcixyPXg="), FAILURE("malformed-request"));
    /* p=tls-unique,,n=alice,r=x */
    expect(AUTH("SCRAM-SHA-1", "cD10bHMtdW5pcXVlLCxuPWFsaWNlLHI9eA=="),
           FAILURE("malformed-request"));
    /* n,a=bob@stentor.test,n=alice,r=x */
    expect(AUTH("SCRAM-SHA-1", "bixhPWJvYkBzdGVudG9yLnRlc3Qsbj1hbGljZSxyPXg="),
           FAILURE("invalid-authzid"));
    expect(RESPONSE("="), FAILURE("malformed-request"));
    expect("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", FAILURE("aborted"));
    expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
           "<stream:error><unsupported-stanza-type *[close unsupported-stanza-type]");
}

/* A real SCRAM client, both hashes, right and wrong. */
static void test_scram(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    for (uint32_t kind = 0; kind < DIGEST_KIND_COUNT; kind++) {
        play_reconnect(&play);
        play_say(&play, PLAY_HEADER);
        play_heard(&play);
        assert_true(play_auth_scram(&play, (enum digest_kind)kind, "alice", "pencil"));
        assert_true(play_hears(&play, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>*"
                                      "</success>"));
        play_reconnect(&play);
        play_say(&play, PLAY_HEADER);
        play_heard(&play);
        assert_false(play_auth_scram(&play, (enum digest_kind)kind, "alice", "pen"));
        assert_true(play_hears(&play, FAILURE("not-authorized")));
        assert_false(play_auth_scram(&play, (enum digest_kind)kind, "carol", "pencil"));
        assert_true(play_hears(&play, FAILURE("account-disabled")));
    }
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_AUTH_OK), 2);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_AUTH_SCRAM_SHA_1), 1);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_AUTH_SCRAM_SHA_256), 1);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_AUTH_PLAIN), 0);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_AUTH_FAILED), 4);
    play_end(&play);
}

/* SCRAM by the octet, as a slow client sends it. */
static void test_scram_in_pieces(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play.piece_bytes = 1;
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    assert_true(play_auth_scram(&play, DIGEST_SHA256, "alice", "pencil"));
    play_end(&play);
}

/* The salt that a stranger sees for a name: r=..., then the salt. */
static void salt_shown(struct play *play, const char *say, char *salt)
{
    play_reconnect(play);
    play_say(play, PLAY_HEADER);
    play_heard(play);
    play_say(play, say);
    const char *text = play_heard(play);
    assert_true(play_matches(text, "<challenge *>*</challenge>"));
    const char *start = strchr(text, '>') + 1;
    /* "r=x" and 24 characters of nonce, "," are 28 octets: base64 up to 36 differs each time. */
    snprintf(salt, 64, "%.40s", start + 40);
}

/* A user that does not exist: the same challenge each time, the same failure, the same words. */
static void test_unknown_user(void **state)
{
    (void)state;
    struct play play;
    char salts[3][64];
    play_begin(&play);
    /* n,,n=nobody,r=x and n,,n=nobodz,r=x */
    salt_shown(&play, AUTH("SCRAM-SHA-256", "biwsbj1ub2JvZHkscj14"), salts[0]);
    salt_shown(&play, AUTH("SCRAM-SHA-256", "biwsbj1ub2JvZHkscj14"), salts[1]);
    salt_shown(&play, AUTH("SCRAM-SHA-256", "biwsbj1ub2JvZHoscj14"), salts[2]);
    assert_string_equal(salts[0], salts[1]);
    assert_string_not_equal(salts[0], salts[2]);
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    assert_false(play_auth_scram(&play, DIGEST_SHA1, "nobody", "pencil"));
    assert_true(play_hears(&play, FAILURE("not-authorized")));
    play_auth_plain(&play, "nobody", "pencil");
    assert_true(play_hears(&play, FAILURE("not-authorized")));
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    play_auth_plain(&play, "alice", "pen");
    assert_true(play_hears(&play, FAILURE("not-authorized")));
    play_auth_plain(&play, "carol", "pencil");
    assert_true(play_hears(&play, FAILURE("account-disabled")));
    play_end(&play);
}

/* A user without keys of the hash that is asked for is a user that does not exist; PLAIN takes the
 * keys there are. */
static void test_missing_keys(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    memset(&play.accounts[0].scram[DIGEST_SHA256], 0, sizeof(struct scram_keys));
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    assert_false(play_auth_scram(&play, DIGEST_SHA256, "alice", "pencil"));
    assert_true(play_hears(&play, FAILURE("not-authorized")));
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, SUCCESS));
    play_end(&play);
}

/* When the store cannot answer, the client is told to come back, whoever it is. */
static void test_store_down(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play.store = PLAY_STORE_FAILS;
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, FAILURE("temporary-auth-failure")));
    assert_false(play_auth_scram(&play, DIGEST_SHA256, "nobody", "pencil"));
    play_end(&play);
}

/* After xmpp.auth_tries failures of any sort the stream ends, and not before. */
static void test_tries(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {PLAY_HEADER, "*"},
        {AUTH("NONE", "="), FAILURE("invalid-mechanism")},
        {"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", FAILURE("aborted")},
        {AUTH("PLAIN", "!"),
         FAILURE("incorrect-encoding") "<stream:error><policy-violation *</stream:error>"
                                       "</stream:stream>[close policy-violation]"},
    };
    PLAY_SCRIPT(lines, NULL);
}

/* An exchange that is under way is not begun twice, and can be left and begun anew. */
static void test_out_of_order(void **state)
{
    (void)state;
    static const struct play_line twice[] = {
        {PLAY_HEADER, "*"},
        {AUTH("SCRAM-SHA-256", "biwsbj1hbGljZSxyPXg="), "<challenge *</challenge>"},
        {AUTH("PLAIN", "AGFsaWNlAHBlbmNpbA=="), FAILURE("malformed-request")},
        {AUTH("PLAIN", "AGFsaWNlAHBlbmNpbA=="), SUCCESS},
    };
    static const struct play_line left[] = {
        {PLAY_HEADER, "*"},
        {AUTH("SCRAM-SHA-256", "biwsbj1hbGljZSxyPXg="), "<challenge *</challenge>"},
        {"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", FAILURE("aborted")},
        {RESPONSE("Yz1iaXdz"), FAILURE("malformed-request")},
    };
    PLAY_SCRIPT(twice, NULL);
    PLAY_SCRIPT(left, NULL);
}

/* A listener that forbids clear text offers nothing and takes nothing, until TLS is there. */
static void test_plain_text_forbidden(void **state)
{
    (void)state;
    struct play play;
    struct config config;
    play_config(&config);
    config.xmpp_plain_text = false;
    play_begin_configured(&play, &config);
    play_say(&play, PLAY_HEADER);
    assert_true(play_hears(&play, "*<stream:features></stream:features>"));
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, FAILURE("encryption-required")));
    play_reconnect(&play);
    play.is_secure = true;
    play_say(&play, PLAY_HEADER);
    assert_true(play_hears(&play, "*<mechanism>PLAIN</mechanism>*"));
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, SUCCESS));
    play_end(&play);
}

/* The password stays in the row only until it is checked. */
static void test_password_wiped(void **state)
{
    (void)state;
    struct play play;
    struct xmpp_output output;
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    play.store = PLAY_STORE_SILENT;
    play_auth_plain(&play, "alice", "pencil");
    assert_int_equal(play.asked.kind, EFFECT_ACCOUNT_GET);
    assert_true(bytes_equal(play.asked.account_get.local, BYTES("alice")));
    struct xmpp_peer peer = play_peer(&play);
    assert_int_equal(xmpp_account_found(play.xmpp, &peer, ERROR_NONE, &play.accounts[0], &output),
                     XMPP_WAIT);
    assert_int_equal(output.effects[0].kind, EFFECT_PASSWORD_CHECK);
    struct bytes password = output.effects[0].password_check.password;
    assert_true(bytes_equal(password, BYTES("pencil")));
    assert_int_equal(xmpp_password_checked(play.xmpp, &peer, ERROR_NONE, &output), XMPP_GO_ON);
    assert_memory_equal(password.at, "\0\0\0\0\0\0", 6);
    play_end(&play);
}

/* Whatever the password thread says of made-up keys, nobody is logged in as nobody. */
static void test_nobody(void **state)
{
    (void)state;
    struct play play;
    struct xmpp_output output;
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    play.store = PLAY_STORE_SILENT;
    play_auth_plain(&play, "nobody", "pencil");
    struct xmpp_peer peer = play_peer(&play);
    assert_int_equal(xmpp_account_found(play.xmpp, &peer, ERROR_NOT_FOUND, NULL, &output),
                     XMPP_WAIT);
    assert_true(scram_keys_is_present(&output.effects[0].password_check.keys));
    assert_int_equal(xmpp_password_checked(play.xmpp, &peer, ERROR_NONE, &output), XMPP_GO_ON);
    assert_true(bytes_equal(writer_bytes(&output.out), BYTES(FAILURE("not-authorized"))));
    assert_false(stream_is_authenticated(&play.stream));
    play_end(&play);
}

/* A login under way by what an account was fails as with a wrong password, of whatever mechanism;
 * that of another account is not concerned; the next try on the same stream looks up anew. */
static void test_changed_under_way(void **state)
{
    (void)state;
    struct play play;
    struct xmpp_output output;
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    play.changed = 1; /* alice */
    assert_false(play_auth_scram(&play, DIGEST_SHA256, "alice", "pencil"));
    assert_true(play_hears(&play, FAILURE("not-authorized")));
    assert_true(play_auth_scram(&play, DIGEST_SHA1, "bob", "pencil"));
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play.store = PLAY_STORE_SILENT;
    play_auth_plain(&play, "alice", "pencil");
    struct xmpp_peer peer = play_peer(&play);
    assert_int_equal(xmpp_account_changed(play.xmpp, &peer, 1, &output), XMPP_WAIT);
    /* It was not known yet, so what is found now is what it is now. */
    assert_int_equal(xmpp_account_found(play.xmpp, &peer, ERROR_NONE, &play.accounts[0], &output),
                     XMPP_WAIT);
    assert_int_equal(xmpp_account_changed(play.xmpp, &peer, 2, &output), XMPP_WAIT);
    assert_int_equal(xmpp_account_changed(play.xmpp, &peer, 1, &output), XMPP_WAIT);
    assert_int_equal(output.out.size + output.effect_count, 0);
    assert_int_equal(xmpp_password_checked(play.xmpp, &peer, ERROR_NONE, &output), XMPP_GO_ON);
    assert_true(bytes_equal(writer_bytes(&output.out), BYTES(FAILURE("not-authorized"))));
    play.store = PLAY_STORE_WORKS;
    play_heard(&play);
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, "*" SUCCESS));
    play_end(&play);
}

/* A stream that is authenticated by what its account was ends, before its header and after; a bound
 * one is its owner's to end, and one that failed to log in has no account. */
static void test_changed_afterwards(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    for (uint32_t i = 0; i < 2; i++) {
        play_say(&play, PLAY_HEADER);
        play_auth_plain(&play, "alice", "pencil");
        if (i == 1)
            play_say(&play, PLAY_HEADER);
        play_heard(&play);
        play_change_account(&play, 2);
        assert_string_equal(play_heard(&play), "");
        play_change_account(&play, 1);
        assert_true(play_hears(&play, "*<stream:error><not-authorized *</stream:error>"
                                      "</stream:stream>[close not-authorized]"));
        play_change_account(&play, 1);
        assert_string_equal(play_heard(&play), "");
        play_reconnect(&play);
    }
    play_say(&play, PLAY_HEADER);
    play_auth_plain(&play, "alice", "wrong");
    play_heard(&play);
    play_change_account(&play, 1);
    assert_string_equal(play_heard(&play), "");
    play_reconnect(&play);
    play_login(&play, "alice", "phone");
    play_heard(&play);
    play_change_account(&play, 1);
    assert_string_equal(play_heard(&play), "");
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_scram),
        cmocka_unit_test(test_scram_in_pieces),
        cmocka_unit_test(test_unknown_user),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_store_down),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_plain_text_forbidden),
        cmocka_unit_test(test_password_wiped),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_changed_under_way),
        cmocka_unit_test(test_changed_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
