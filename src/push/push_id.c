/* SPDX-License-Identifier: Apache-2.0
 *
 * Push ids: ULIDs. 48 bits of wall clock in milliseconds and 80 random bits, written in 26
 * characters of Crockford's base 32, of which the first is at most 7. Text order is time order; two
 * ids of one table made in the same millisecond differ by one in the last place. */
#include "stentor/push.h"

#define TIME_CHARACTERS 10u
#define TIME_MS_MAX ((UINT64_C(1) << 48) - 1)

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The value of a digit in either case; 32 for what is none. */
static uint32_t digit_value(uint8_t character)
{
    if (character >= 'a' && character <= 'z')
        character = (uint8_t)(character - 'a' + 'A');
    uint32_t value = 0;
    while (value < 32 && digits[value] != (char)character)
        value++;
    return value;
}

void push_id_make(struct push_id *id, uint64_t wall_ms, struct random *random)
{
    if (wall_ms > TIME_MS_MAX)
        wall_ms = TIME_MS_MAX;
    for (uint32_t i = TIME_CHARACTERS; i > 0; i--) {
        id->text[i - 1] = digits[wall_ms & 31u];
        wall_ms >>= 5;
    }
    uint8_t noise[PUSH_ID_SIZE - TIME_CHARACTERS];
    random_fill(random, noise, sizeof noise);
    for (uint32_t i = TIME_CHARACTERS; i < PUSH_ID_SIZE; i++)
        id->text[i] = digits[noise[i - TIME_CHARACTERS] & 31u];
    id->text[PUSH_ID_SIZE] = '\0';
}

static uint64_t time_of(const struct push_id *id)
{
    uint64_t wall_ms = 0;
    for (uint32_t i = 0; i < TIME_CHARACTERS; i++)
        wall_ms = wall_ms << 5 | digit_value((uint8_t)id->text[i]);
    return wall_ms;
}

/* Adds one to the number the text is. */
static void increase(struct push_id *id)
{
    for (uint32_t i = PUSH_ID_SIZE; i > 0; i--) {
        uint32_t value = digit_value((uint8_t)id->text[i - 1]);
        id->text[i - 1] = digits[(value + 1) & 31u];
        if (value != 31)
            return;
    }
}

void push_id_make_after(struct push_id *id, const struct push_id *previous, uint64_t wall_ms,
                        struct random *random)
{
    if (wall_ms > time_of(previous)) {
        push_id_make(id, wall_ms, random);
        return;
    }
    *id = *previous;
    increase(id);
}

bool push_id_parse(struct bytes text, struct push_id *id)
{
    if (text.size != PUSH_ID_SIZE || digit_value(text.at[0]) > 7)
        return false;
    struct push_id parsed;
    for (uint32_t i = 0; i < PUSH_ID_SIZE; i++) {
        uint32_t value = digit_value(text.at[i]);
        if (value == 32)
            return false;
        parsed.text[i] = digits[value];
    }
    parsed.text[PUSH_ID_SIZE] = '\0';
    *id = parsed;
    return true;
}
