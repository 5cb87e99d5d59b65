/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads and prints single lines. A reader moves *at past what it took and is false when the line
 * is not in the language there. */
#include "script_line.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define NS 1000000000u

/* ---- scanning ---- */

static void skip_blanks(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
}

static bool take_text(const char **at, const char *text)
{
    skip_blanks(at);
    size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool take_word(const char **at, const char *word)
{
    const char *old = *at;
    if (take_text(at, word) && !isalnum((unsigned char)**at) && **at != '_')
        return true;
    *at = old;
    return false;
}

/* Negative numbers wrap: -1 is the octet before the stream. */
static bool take_number(const char **at, uint32_t *number)
{
    char *end;
    skip_blanks(at);
    long long value = strtoll(*at, &end, 0);
    if (end == *at)
        return false;
    *at = end;
    *number = (uint32_t)value;
    return true;
}

static bool take_number_or_any(const char **at, uint32_t *number, bool *is_any)
{
    *is_any = take_text(at, "*");
    return *is_any || take_number(at, number);
}

bool script_read_seconds(const char **at, uint64_t *ns)
{
    skip_blanks(at);
    if (!isdigit((unsigned char)**at) && **at != '.')
        return false;
    uint64_t whole = 0;
    while (isdigit((unsigned char)**at))
        whole = whole * 10 + (uint64_t)(*(*at)++ - '0');
    *ns = whole * NS;
    if (**at != '.' || (*at)[1] == '.')
        return true;
    uint64_t unit = NS / 10;
    for ((*at)++; isdigit((unsigned char)**at); unit /= 10)
        *ns += (uint64_t)(*(*at)++ - '0') * unit;
    return true;
}

/* ---- options ---- */

static bool read_raw(const char **at, struct script_option *option)
{
    skip_blanks(at);
    option->kind = SCRIPT_OPTION_RAW;
    while (isxdigit((unsigned char)(*at)[0]) && isxdigit((unsigned char)(*at)[1])) {
        char digits[3] = {(*at)[0], (*at)[1], 0};
        if (option->raw_size == sizeof option->raw)
            return false;
        option->raw[option->raw_size++] = (uint8_t)strtoul(digits, NULL, 16);
        *at += 2;
    }
    return option->raw_size != 0;
}

static bool read_value(const char **at, struct script_option *option)
{
    bool is_any;
    uint32_t place = option->count++;
    if (!take_number_or_any(at, &option->values[place], &is_any))
        return false;
    option->any |= (uint8_t)(is_any << place);
    if (is_any && **at == '-') /* an echo older than the newest */
        return take_number(at, &option->values[place]);
    return true;
}

static bool read_sack(const char **at, struct script_option *option)
{
    option->kind = TCP_OPTION_SACK;
    for (skip_blanks(at); **at != ',' && **at != '>'; skip_blanks(at)) {
        if (option->count == 8 || !read_value(at, option) || !take_text(at, ":") ||
            !read_value(at, option))
            return false;
    }
    return true;
}

static bool read_option(const char **at, struct script_option *option)
{
    if (take_word(at, "nop"))
        option->kind = TCP_OPTION_NOP;
    else if (take_word(at, "eol"))
        option->kind = TCP_OPTION_END;
    else if (take_word(at, "sackOK"))
        option->kind = TCP_OPTION_SACK_PERMITTED;
    else if (take_word(at, "sack"))
        return read_sack(at, option);
    else if (take_word(at, "raw"))
        return read_raw(at, option);
    else if (take_word(at, "mss")) {
        option->kind = TCP_OPTION_MSS;
        return read_value(at, option);
    } else if (take_word(at, "wscale")) {
        option->kind = TCP_OPTION_WINDOW_SCALE;
        return read_value(at, option);
    } else if (take_word(at, "ts")) { /* ts 5: our value 5 with the newest echo, or any echoing 5 */
        option->kind = TCP_OPTION_TIMESTAMPS;
        option->raw_size = 1;
        return read_value(at, option);
    } else if (take_word(at, "TS")) {
        option->kind = TCP_OPTION_TIMESTAMPS;
        return take_word(at, "val") && read_value(at, option) && take_word(at, "ecr") &&
               read_value(at, option);
    } else
        return false;
    return true;
}

static bool read_options(const char **at, struct script_packet *packet)
{
    packet->has_options = true;
    if (take_text(at, "*")) {
        packet->any_options = true;
        return take_text(at, ">");
    }
    while (!take_text(at, ">")) {
        (void)take_text(at, ",");
        if (packet->option_count == SCRIPT_OPTIONS_MAX ||
            !read_option(at, &packet->options[packet->option_count++]))
            return false;
    }
    return true;
}

/* "ts N" stands for two values; which of them N is depends on the direction. */
static void settle_shorthand(struct script_packet *packet, bool is_inbound)
{
    for (uint32_t i = 0; i < packet->option_count; i++) {
        struct script_option *option = &packet->options[i];
        if (option->kind != TCP_OPTION_TIMESTAMPS || option->raw_size == 0)
            continue;
        option->raw_size = 0;
        option->count = 2;
        if (is_inbound) {
            option->any = (uint8_t)((option->any & 1u) | 2u);
            option->values[1] = 0;
        } else {
            option->any = (uint8_t)((option->any & 1u) << 1 | 1u);
            option->values[1] = option->values[0];
        }
    }
}

/* ---- packets ---- */

static const char flag_letters[] = "FSRP.UEC"; /* in the order of their bits */

static bool read_flags(const char **at, struct script_packet *packet)
{
    skip_blanks(at);
    if (take_text(at, "-"))
        return true;
    const char *start = *at;
    for (; **at != 0 && !isspace((unsigned char)**at); (*at)++) {
        const char *letter = strchr(flag_letters, **at == 'W' ? 'C' : **at);
        if (letter == NULL)
            return false;
        packet->flags |= (uint8_t)(1u << (letter - flag_letters));
    }
    return *at != start;
}

static bool read_numbers(const char **at, struct script_packet *packet)
{
    uint32_t end;
    bool any_end;
    if (!take_number_or_any(at, &packet->seq, &packet->any_seq))
        return false;
    if (take_text(at, ":") && !take_number_or_any(at, &end, &any_end))
        return false;
    if (!take_text(at, "(") || !take_number_or_any(at, &packet->size, &packet->any_size))
        return false;
    return take_text(at, ")");
}

static bool read_tags(const char **at, struct script_packet *packet)
{
    static const char *const names[] = {"notect", "ect1", "ect0", "ce"};
    if (!take_text(at, "["))
        return true;
    while (!take_text(at, "]")) {
        bool is_known = false;
        for (uint8_t i = 0; i < 4; i++)
            if (take_word(at, names[i])) {
                packet->ecn = i;
                is_known = true;
            }
        if (take_word(at, "badsum"))
            packet->bad_checksum = is_known = true;
        if (take_word(at, "other"))
            packet->is_other_octets = is_known = true;
        if (!is_known)
            return false;
    }
    return true;
}

static bool read_icmp(const char **at, struct script_packet *packet)
{
    static const char *const names[] = {
        [ICMP_TOO_BIG] = "too_big",       [ICMP_HOST] = "host",       [ICMP_PORT] = "port",
        [ICMP_PROHIBITED] = "prohibited", [ICMP_EXPIRED] = "expired", [ICMP_QUENCH] = "quench"};
    for (uint32_t i = ICMP_TOO_BIG; i <= ICMP_QUENCH; i++)
        if (take_word(at, names[i]))
            packet->icmp = (enum script_icmp)i;
    if (packet->icmp == ICMP_NONE)
        return false;
    if (take_word(at, "mtu") && !take_number(at, &packet->mtu))
        return false;
    return take_word(at, "seq") && take_number(at, &packet->seq);
}

static bool read_packet(const char **at, struct script_packet *packet)
{
    uint32_t number = 0;
    packet->ecn = SCRIPT_ECN_ANY;
    if (!read_tags(at, packet))
        return false;
    if (take_word(at, "icmp"))
        return read_icmp(at, packet);
    if (take_text(at, "*")) {
        packet->is_anything = true;
        return true;
    }
    if (!read_flags(at, packet) || !read_numbers(at, packet))
        return false;
    if (take_word(at, "ack")) {
        packet->has_ack = true;
        if (!take_number_or_any(at, &packet->ack, &packet->any_ack))
            return false;
    }
    if (take_word(at, "win")) {
        bool is_any;
        if (!take_number_or_any(at, &number, &is_any))
            return false;
        packet->has_window = !is_any;
        packet->window = (uint16_t)number;
    }
    if (take_word(at, "urg")) {
        if (!take_number(at, &number))
            return false;
        packet->urgent = (uint16_t)number;
    }
    return !take_text(at, "<") || read_options(at, packet);
}

/* ---- lines ---- */

static bool read_time(const char **at, struct script_step *step)
{
    skip_blanks(at);
    step->is_absolute = **at != '+';
    *at += !step->is_absolute;
    if (!script_read_seconds(at, &step->from_ns))
        return false;
    step->has_time = true;
    step->until_ns = step->from_ns;
    if ((*at)[0] == '.' && (*at)[1] == '.') {
        *at += 2;
        return script_read_seconds(at, &step->until_ns) && step->until_ns >= step->from_ns;
    }
    return true;
}

static bool read_words(const char *at, struct script_step *step)
{
    snprintf(step->word_text, sizeof step->word_text, "%s", at);
    char *word = step->word_text;
    while (step->word_count < SCRIPT_WORDS_MAX) {
        word += strspn(word, " \t");
        if (*word == 0)
            return step->word_count != 0;
        step->words[step->word_count++] = word;
        word += strcspn(word, " \t");
        if (*word != 0)
            *word++ = 0;
    }
    return false;
}

bool script_line_read(struct script_step *step, char *fault)
{
    const char *at = step->text;
    bool is_good = true;
    step->kind = SCRIPT_COMMAND;
    if (*at == '+' || isdigit((unsigned char)*at) || *at == '.')
        is_good = read_time(&at, step);
    skip_blanks(&at);
    if (is_good && (*at == '<' || *at == '>')) {
        step->kind = *at == '<' ? SCRIPT_IN : SCRIPT_OUT;
        at++;
        is_good = read_packet(&at, &step->packet);
        settle_shorthand(&step->packet, step->kind == SCRIPT_IN);
        skip_blanks(&at);
        is_good = is_good && *at == 0;
    } else if (is_good) {
        is_good = read_words(at, step);
    }
    if (!is_good)
        snprintf(fault, SCRIPT_FAULT_MAX, "line %u: not in the language: %s", step->line,
                 step->text);
    return is_good;
}

/* ---- printing ---- */

struct printer {
    char *at;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static void print(struct printer *printer, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(printer->at, printer->room, format, arguments);
    va_end(arguments);
    size_t used = (size_t)size < printer->room ? (size_t)size : printer->room - 1;
    printer->at += used;
    printer->room -= used;
}

static void print_option(struct printer *printer, const struct script_option *option)
{
    switch (option->kind) {
    case TCP_OPTION_NOP:
        print(printer, "nop");
        return;
    case TCP_OPTION_END:
        print(printer, "eol");
        return;
    case TCP_OPTION_SACK_PERMITTED:
        print(printer, "sackOK");
        return;
    case TCP_OPTION_MSS:
        print(printer, "mss %u", option->values[0]);
        return;
    case TCP_OPTION_WINDOW_SCALE:
        print(printer, "wscale %u", option->values[0]);
        return;
    case TCP_OPTION_TIMESTAMPS:
        print(printer, "TS val %u ecr %u", option->values[0], option->values[1]);
        return;
    case TCP_OPTION_SACK:
        print(printer, "sack");
        for (uint32_t i = 0; i + 1 < option->count; i += 2)
            print(printer, " %u:%u", option->values[i], option->values[i + 1]);
        return;
    default:
        print(printer, "raw %02x", option->kind);
    }
}

void script_packet_print(const struct script_packet *packet, char *into, size_t room)
{
    static const char *const ecn_names[] = {"", "[ect1] ", "[ect0] ", "[ce] "};
    struct printer printer = {into, room};
    print(&printer, "%s", packet->ecn < 4 ? ecn_names[packet->ecn] : "");
    for (uint32_t i = 0; i < 8; i++)
        if ((packet->flags >> i & 1u) != 0)
            print(&printer, "%c", flag_letters[i]);
    if (packet->flags == 0)
        print(&printer, "-");
    print(&printer, " %d:%d(%u)", (int32_t)packet->seq, (int32_t)(packet->seq + packet->size),
          packet->size);
    if ((packet->flags & TCP_ACK) != 0)
        print(&printer, " ack %d", (int32_t)packet->ack);
    print(&printer, " win %u", packet->window);
    if (packet->option_count != 0) {
        print(&printer, " <");
        for (uint32_t i = 0; i < packet->option_count; i++) {
            print(&printer, i == 0 ? "" : ",");
            print_option(&printer, &packet->options[i]);
        }
        print(&printer, ">");
    }
    if (packet->is_unpatterned)
        print(&printer, " with wrong octets");
}
