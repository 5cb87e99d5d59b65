/* SPDX-License-Identifier: Apache-2.0
 *
 * A script after reading. A file is a prologue and cases; a case is the prologue's lines and its
 * own, with $names replaced, as a list of steps. README.md is the language's manual. */
#ifndef STENTOR_TESTS_SCRIPT_SCRIPT_H
#define STENTOR_TESTS_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SCRIPT_STEPS_MAX 1024u
#define SCRIPT_WORDS_MAX 8u
#define SCRIPT_TEXT_MAX 320u
#define SCRIPT_OPTIONS_MAX 12u
#define SCRIPT_FAULT_MAX 1200u

enum script_kind {
    SCRIPT_IN,     /* < the peer sends */
    SCRIPT_OUT,    /* > we must send */
    SCRIPT_COMMAND /* all else, by words[0] */
};

struct script_option {
    uint8_t kind;
    uint8_t count; /* of values */
    uint8_t any;   /* bit i: value i was written as "*" */
    uint8_t raw_size;
    uint32_t values[8]; /* SACK edges are relative to the stream they speak of */
    uint8_t raw[40];    /* kind SCRIPT_OPTION_RAW: octets as they stand */
};
#define SCRIPT_OPTION_RAW 0xffu

enum script_icmp {
    ICMP_NONE,
    ICMP_TOO_BIG,
    ICMP_HOST,
    ICMP_PORT,
    ICMP_PROHIBITED,
    ICMP_EXPIRED,
    ICMP_QUENCH
};

#define SCRIPT_ECN_ANY 0xffu

/* A segment as a script says it or as it was seen, numbers relative to the initial ones. */
struct script_packet {
    uint8_t flags;
    uint8_t ecn; /* two bits of the IP header, or SCRIPT_ECN_ANY */
    uint32_t seq;
    uint32_t size;
    uint32_t ack;
    uint16_t window;
    uint16_t urgent;
    uint32_t option_count;
    struct script_option options[SCRIPT_OPTIONS_MAX];
    enum script_icmp icmp;
    uint32_t mtu;
    /* of what a script says only */
    bool is_anything; /* "*": any segment */
    bool any_seq;
    bool any_size;
    bool any_ack;
    bool has_ack;
    bool has_window;
    bool has_options; /* "<...>" stands there */
    bool any_options; /* "<*>" */
    bool bad_checksum;
    bool is_other_octets; /* payload differs from the pattern */
    bool is_unpatterned;  /* seen: its octets are not those of their place */
};

struct script_step {
    enum script_kind kind;
    bool is_absolute; /* from_ns counts from the start, not from the step before */
    bool has_time;
    uint64_t from_ns;
    uint64_t until_ns; /* of SCRIPT_OUT: the last instant allowed, tolerance not counted */
    uint32_t line;
    const char *path;
    char text[SCRIPT_TEXT_MAX];
    uint32_t word_count;
    char *words[SCRIPT_WORDS_MAX];
    char word_text[SCRIPT_TEXT_MAX];
    struct script_packet packet;
};

struct script {
    char name[200];
    uint32_t step_count;
    struct script_step steps[SCRIPT_STEPS_MAX];
};

/* Calls `each` for every case of the file. False when the file cannot be read; a case that is not
 * in the language arrives with fault[0] != 0. */
struct script_reader {
    void (*each)(void *owner, const struct script *script, const char *fault);
    void *owner;
};
bool script_read_file(const char *path, const struct script_reader *reader);

/* The segment in the script's own language. */
void script_packet_print(const struct script_packet *packet, char *into, size_t room);

#endif
