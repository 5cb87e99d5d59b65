/* SPDX-License-Identifier: Apache-2.0
 *
 * The player. Steps are taken one after the other; time moves only between them, and whatever
 * leaves the side under test without being expected before time moves is a fault. While recording,
 * nothing is judged: expected segments only say how long to wait. */
#include "script_play.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "script_line.h"

#define NS 1000000000u
#define RECORD_SLACK_NS 30000000u

static struct play_flow *flow_now(struct play *play)
{
    return &play->flows[play->flow];
}

/* ---- what the sides tell ---- */

void play_fail(struct play *play, const char *format, ...)
{
    va_list arguments;
    if (play->fault[0] != 0)
        return;
    va_start(arguments, format);
    vsnprintf(play->fault, sizeof play->fault, format, arguments);
    va_end(arguments);
}

struct play_flow *play_flow_of(struct play *play, uint16_t peer_port)
{
    uint32_t index = (uint32_t)peer_port - PLAY_PEER_PORT;
    return index < PLAY_FLOWS_MAX ? &play->flows[index] : NULL;
}

static void record_frame(struct play *play, const struct play_frame *frame)
{
    char text[400];
    struct play_flow *flow;
    struct script_packet packet;
    if (!play_packet_read(play, frame, &packet, &flow))
        return;
    script_packet_print(&packet, text, sizeof text);
    fprintf(play->record, "%u > %.4f %s\n", play->record_line, (double)frame->at_ns / 1e9, text);
}

void play_sent(struct play *play, const uint8_t *ip, size_t size)
{
    if (play->frame_count == PLAY_FRAMES_MAX) {
        play_fail(play, "more than %u segments sent", PLAY_FRAMES_MAX);
        return;
    }
    uint8_t *octets = malloc(size);
    memcpy(octets, ip, size);
    play_flow_learn(play, ip, size);
    struct play_frame *frame = &play->frames[play->frame_count++];
    *frame = (struct play_frame){play->now_ns, (uint32_t)size, octets};
    if (play->record != NULL)
        record_frame(play, frame);
}

void play_happened(struct play *play, struct play_flow *flow, const char *what, const char *why)
{
    if (strcmp(what, "accepted") == 0 || strcmp(what, "connected") == 0) {
        flow->received = flow->received_told = flow->written = 0;
        flow->accepted += what[0] == 'a';
        flow->connected += what[0] == 'c';
    }
    flow->ended += strcmp(what, "end") == 0;
    flow->drained += strcmp(what, "drained") == 0;
    if (strcmp(what, "closed") == 0) {
        flow->closed++;
        flow->why = why;
    }
    if (play->record != NULL)
        fprintf(play->record, "%u ! %s%s%s\n", play->record_line, what, why == NULL ? "" : " ",
                why == NULL ? "" : why);
}

void play_received(struct play *play, struct play_flow *flow, const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (octets[i] != play_octet_in(flow->received + i))
            flow->has_wrong_octets = true;
    flow->received += size;
    if (play->record != NULL)
        fprintf(play->record, "%u ! read %zu\n", play->record_line, size);
}

/* ---- frames ---- */

static void finish_turn(struct play *play)
{
    if (!play->is_turn_owed)
        return;
    play->is_turn_owed = false;
    play->side->turn(play);
}

static void describe(struct play *play, const struct play_frame *frame, char *into, size_t room)
{
    struct play_flow *flow;
    struct script_packet packet;
    if (!play_packet_read(play, frame, &packet, &flow)) {
        snprintf(into, room, "a packet of no flow");
        return;
    }
    script_packet_print(&packet, into, room);
}

static void refuse_unexpected(struct play *play, uint64_t before_ns)
{
    char text[400];
    if (play->record != NULL) {
        play->taken = play->frame_count;
        return;
    }
    if (play->taken == play->frame_count || play->frames[play->taken].at_ns >= before_ns)
        return;
    const struct play_frame *frame = &play->frames[play->taken];
    describe(play, frame, text, sizeof text);
    play_fail(play, "expected nothing, got %s at %.6f", text, (double)frame->at_ns / NS);
}

/* To the instant of a step that is not an expected segment. */
static void go_to(struct play *play, uint64_t at_ns)
{
    if (at_ns <= play->now_ns) {
        play->reference_ns = play->now_ns;
        return;
    }
    finish_turn(play);
    refuse_unexpected(play, at_ns);
    if (play->fault[0] == 0)
        play->side->advance(play, at_ns, false);
    refuse_unexpected(play, at_ns);
    play->reference_ns = at_ns;
}

static uint64_t instant(const struct play *play, const struct script_step *step, uint64_t ns)
{
    return step->is_absolute ? ns : play->reference_ns + ns;
}

static void judge_frame(struct play *play, const struct script_step *step,
                        const struct play_frame *frame)
{
    char text[400];
    struct play_flow *flow;
    struct script_packet seen;
    const char *mismatch = "flow";
    uint64_t from_ns = instant(play, step, step->from_ns);
    uint64_t until_ns = instant(play, step, step->until_ns);
    bool is_ours = play_packet_read(play, frame, &seen, &flow);
    if (is_ours && flow != flow_now(play))
        is_ours = false;
    if (is_ours && play_packet_match(&step->packet, &seen, &mismatch)) {
        if (frame->at_ns + PLAY_TOLERANCE_NS >= from_ns &&
            frame->at_ns <= until_ns + PLAY_TOLERANCE_NS)
            return;
        mismatch = "time";
    }
    describe(play, frame, text, sizeof text);
    play_fail(play, "expected %s, got %s at +%.6f (%s)", step->text, text,
              ((double)frame->at_ns - (double)play->reference_ns) / NS, mismatch);
}

static void expect_frame(struct play *play, const struct script_step *step)
{
    uint64_t until_ns = instant(play, step, step->until_ns);
    uint64_t slack_ns = PLAY_TOLERANCE_NS;
    if (play->record != NULL) /* a stack may be half as patient again */
        slack_ns = RECORD_SLACK_NS + (step->is_absolute ? 0 : step->until_ns / 2);
    finish_turn(play);
    if (play->taken == play->frame_count && play->now_ns < until_ns + slack_ns)
        play->side->advance(play, until_ns + slack_ns, true);
    if (play->fault[0] != 0)
        return;
    if (play->taken == play->frame_count) {
        play->reference_ns = play->now_ns;
        if (play->record == NULL)
            play_fail(play, "expected %s, got nothing", step->text);
        return;
    }
    const struct play_frame *frame = &play->frames[play->taken++];
    if (play->record == NULL)
        judge_frame(play, step, frame);
    play->reference_ns = frame->at_ns;
}

/* Segments that stand together arrive in one burst. */
static uint32_t send_burst(struct play *play, uint32_t index)
{
    static uint8_t octets[PLAY_BURST_MAX][PLAY_PACKET_MAX];
    struct play_frame burst[PLAY_BURST_MAX];
    uint32_t count = 0;
    finish_turn(play);
    while (index < play->script->step_count && count < PLAY_BURST_MAX) {
        const struct script_step *step = &play->script->steps[index];
        if (step->kind != SCRIPT_IN ||
            (count != 0 && step->has_time && (step->is_absolute || step->from_ns != 0)))
            break;
        size_t size = play_packet_build(play, &step->packet, octets[count]);
        burst[count] = (struct play_frame){play->now_ns, (uint32_t)size, octets[count]};
        count++;
        index++;
    }
    play->side->input(play, burst, count);
    play->is_turn_owed = true;
    return count;
}

/* ---- commands of the application ---- */

/* Waits for what comes by a timer of this very instant, too. */
static bool expect_count(struct play *play, const uint32_t *count, uint32_t *told, const char *what)
{
    if (*count == *told)
        finish_turn(play);
    if (*count == *told) {
        play_fail(play, "expected %s, it did not happen", what);
        return true;
    }
    (*told)++;
    return true;
}

static bool expect_octets(struct play *play, const char *word)
{
    struct play_flow *flow = flow_now(play);
    uint64_t wanted = strtoull(word, NULL, 0);
    if (flow->received - flow->received_told != wanted)
        play_fail(play, "expected read %s, got %llu octets", word,
                  (unsigned long long)(flow->received - flow->received_told));
    if (flow->has_wrong_octets)
        play_fail(play, "expected the octets sent, got others");
    flow->received_told = flow->received;
    return true;
}

static bool expect_event(struct play *play, const struct script_step *step)
{
    struct play_flow *flow = flow_now(play);
    const char *what = step->words[1];
    if (strcmp(what, "end") == 0)
        return expect_count(play, &flow->ended, &flow->ended_told, what);
    if (strcmp(what, "connected") == 0)
        return expect_count(play, &flow->connected, &flow->connected_told, what);
    if (strcmp(what, "drained") == 0)
        return expect_count(play, &flow->drained, &flow->drained_told, what);
    if (strcmp(what, "closed") != 0 || step->word_count != 3)
        return false;
    (void)expect_count(play, &flow->closed, &flow->closed_told, what);
    if (play->fault[0] == 0 && strcmp(flow->why, step->words[2]) != 0)
        play_fail(play, "expected closed %s, got closed %s", step->words[2], flow->why);
    return true;
}

static bool choose_flow(struct play *play, const char *word)
{
    uint32_t index = (uint32_t)strtoul(word, NULL, 0) - 1;
    if (index >= PLAY_FLOWS_MAX)
        return false;
    play->flow = index;
    return true;
}

static bool own_command(struct play *play, const struct script_step *step)
{
    struct play_flow *flow = flow_now(play);
    const char *word = step->words[0];
    bool has_argument = step->word_count > 1;
    if (strcmp(word, "set") == 0)
        return true; /* before the start */
    if (strcmp(word, "accept") == 0)
        return play->record != NULL ||
               expect_count(play, &flow->accepted, &flow->accepted_told, "accept");
    if (strcmp(word, "silence") == 0 && has_argument) {
        const char *at = step->words[1];
        uint64_t ns;
        if (!script_read_seconds(&at, &ns))
            return false;
        go_to(play, play->reference_ns + ns);
        return true;
    }
    if (strcmp(word, "use") == 0 && has_argument)
        return choose_flow(play, step->words[1]);
    if (strcmp(word, "isn") == 0 && has_argument) {
        flow->peer_isn = (uint32_t)strtoul(step->words[1], NULL, 0);
        return true;
    }
    if (strcmp(word, "port") == 0 && has_argument) {
        flow->our_port = (uint16_t)strtoul(step->words[1], NULL, 0);
        return true;
    }
    if (strcmp(word, "read") == 0 && has_argument)
        return play->record != NULL || expect_octets(play, step->words[1]);
    if (strcmp(word, "expect") == 0 && has_argument)
        return play->record != NULL || expect_event(play, step);
    return false;
}

static void run_command(struct play *play, const struct script_step *step)
{
    if (own_command(play, step))
        return;
    bool is_known = play->side->command(play, step);
    if (!is_known && play->record == NULL)
        play_fail(play, "not in the language: %s", step->text);
}

/* ---- settings ---- */

struct setting {
    const char *name;
    size_t offset;
    char type; /* u = uint32_t, l = uint64_t, s = seconds in uint64_t, b = bool */
};

static const struct setting settings[] = {
    {"mtu", offsetof(struct play_options, mtu), 'u'},
    {"receive_window", offsetof(struct play_options, receive_window), 'u'},
    {"hot_max", offsetof(struct play_options, hot_max), 'u'},
    {"references_max", offsetof(struct play_options, references_max), 'u'},
    {"connections_max", offsetof(struct play_options, connections_max), 'u'},
    {"connections_per_address", offsetof(struct play_options, connections_per_address), 'u'},
    {"accepts_per_second", offsetof(struct play_options, accepts_per_second), 'u'},
    {"keepalive_probes", offsetof(struct play_options, keepalive_probes), 'u'},
    {"time_wait_max", offsetof(struct play_options, time_wait_max), 'u'},
    {"send_bytes", offsetof(struct play_options, send_bytes_max), 'l'},
    {"reorder_bytes", offsetof(struct play_options, reorder_bytes_max), 'l'},
    {"keepalive_idle", offsetof(struct play_options, keepalive_idle_ns), 's'},
    {"keepalive_interval", offsetof(struct play_options, keepalive_interval_ns), 's'},
    {"user_timeout", offsetof(struct play_options, user_timeout_ns), 's'},
    {"time_wait", offsetof(struct play_options, time_wait_ns), 's'},
    {"clock", offsetof(struct play_options, clock_ns), 's'},
    {"newreno", offsetof(struct play_options, is_newreno), 'b'},
    {"ecn", offsetof(struct play_options, has_ecn), 'b'},
    {"ipv6", offsetof(struct play_options, is_ipv6), 'b'},
};

static void set_one(struct play *play, const struct script_step *step)
{
    char *base = (char *)&play->options;
    const char *word = step->word_count > 2 ? step->words[2] : "1";
    const char *at = word;
    uint64_t number = strtoull(word, NULL, 0);
    if (strcmp(step->words[1], "our_isn") == 0) {
        play->options.our_isn = (uint32_t)number;
        play->options.is_isn_fixed = true;
        return;
    }
    for (uint32_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct setting *setting = &settings[i];
        if (strcmp(setting->name, step->words[1]) != 0)
            continue;
        if (setting->type == 'b')
            *(bool *)(void *)(base + setting->offset) = number != 0;
        else if (setting->type == 'u')
            *(uint32_t *)(void *)(base + setting->offset) = (uint32_t)number;
        else if (setting->type == 'l')
            *(uint64_t *)(void *)(base + setting->offset) = number;
        else if (!script_read_seconds(&at, (uint64_t *)(void *)(base + setting->offset)))
            break;
        return;
    }
    play_fail(play, "line %u: no such setting: %s", step->line, step->text);
}

static void settle(struct play *play, const struct script *script)
{
    play->options = (struct play_options){
        .mtu = 1500,
        .receive_window = 65535,
        .hot_max = 16,
        .references_max = 256,
        .connections_max = 64,
        .connections_per_address = 64,
        .accepts_per_second = 1000000,
        .keepalive_probes = 3,
        .time_wait_max = 16,
        .send_bytes_max = 1 << 20,
        .reorder_bytes_max = 1 << 20,
        .keepalive_interval_ns = (uint64_t)5 * NS,
        .user_timeout_ns = (uint64_t)300 * NS,
        .time_wait_ns = (uint64_t)60 * NS,
        .clock_ns = (uint64_t)1000 * NS,
    };
    for (uint32_t i = 0; i < script->step_count; i++)
        if (script->steps[i].kind == SCRIPT_COMMAND && script->steps[i].word_count > 1 &&
            strcmp(script->steps[i].words[0], "set") == 0)
            set_one(play, &script->steps[i]);
    for (uint32_t i = 0; i < PLAY_FLOWS_MAX; i++)
        play->flows[i] = (struct play_flow){.peer_port = (uint16_t)(PLAY_PEER_PORT + i),
                                            .our_port = PLAY_OUR_PORT,
                                            .peer_isn = PLAY_PEER_ISN,
                                            .our_isn = PLAY_OUR_ISN,
                                            .window = 65535,
                                            .conn = UINT32_MAX,
                                            .descriptor = -1};
}

/* ---- a whole case ---- */

static void refuse_untold(struct play *play)
{
    for (uint32_t i = 0; i < PLAY_FLOWS_MAX; i++) {
        const struct play_flow *flow = &play->flows[i];
        const char *what = NULL;
        if (flow->received != flow->received_told)
            what = "octets that no line reads";
        else if (flow->ended != flow->ended_told)
            what = "an end that no line expects";
        else if (flow->closed != flow->closed_told)
            what = "a close that no line expects";
        else if (flow->accepted != flow->accepted_told)
            what = "a connection that no line accepts";
        if (what != NULL)
            play_fail(play, "at the end: %s%s%s", what, flow->why ? ", closed " : "",
                      flow->why ? flow->why : "");
    }
}

/* Steps that cannot make anything leave are not worth a line. */
static void record_step(struct play *play, const struct script_step *step)
{
    static const char *const quiet[] = {"set",     "accept", "read", "expect", "state",
                                        "counter", "usage",  "use",  "isn",    "port"};
    if (play->record == NULL)
        return;
    for (uint32_t i = 0; step->kind == SCRIPT_COMMAND && i < sizeof quiet / sizeof quiet[0]; i++)
        if (strcmp(step->words[0], quiet[i]) == 0)
            return;
    play->record_line = step->line;
    fprintf(play->record, "%u @ %.4f\n", play->record_line, (double)play->now_ns / 1e9);
}

static void run_steps(struct play *play)
{
    for (uint32_t i = 0; i < play->script->step_count && play->fault[0] == 0;) {
        const struct script_step *step = &play->script->steps[i];
        uint32_t count = 1;
        if (step->kind == SCRIPT_OUT) {
            expect_frame(play, step);
        } else {
            go_to(play, instant(play, step, step->has_time ? step->from_ns : 0));
            record_step(play, step);
            if (play->fault[0] == 0 && step->kind == SCRIPT_IN)
                count = send_burst(play, i);
            else if (play->fault[0] == 0)
                run_command(play, step);
        }
        if (play->fault[0] != 0 && strncmp(play->fault, "line", 4) != 0) {
            char fault[SCRIPT_FAULT_MAX];
            memcpy(fault, play->fault, sizeof fault);
            snprintf(play->fault, sizeof play->fault, "line %u: %.1000s", step->line, fault);
        }
        i += count;
    }
    if (play->fault[0] != 0)
        return;
    finish_turn(play);
    refuse_unexpected(play, UINT64_MAX);
    if (play->record == NULL)
        refuse_untold(play);
}

void play_run(struct play *play, const struct script *script, const struct play_side *side,
              FILE *record)
{
    memset(play, 0, sizeof *play);
    play->script = script;
    play->side = side;
    play->record = record;
    settle(play, script);
    if (play->fault[0] == 0 && side->open(play)) {
        run_steps(play);
        play->record = NULL; /* the end is no part of the script */
        side->close(play);
    }
    for (uint32_t i = 0; i < play->frame_count; i++)
        free(play->frames[i].octets);
}
