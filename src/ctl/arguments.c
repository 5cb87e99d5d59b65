/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of stentorctl. Options stand anywhere, as --name VALUE or --name=VALUE; -- ends
 * them. The words that are left name the verb, the longest first, and at most one operand. */
#include "ctl.h"

#define WORDS_MAX 3u
#define OPTIONS_OF_ALL                                                                             \
    (OPTION_BIT(URL) | OPTION_BIT(TOKEN_FILE) | OPTION_BIT(JSON) | OPTION_BIT(HELP) |              \
     OPTION_BIT(VERSION))

static const struct option_row {
    const char *text;
    const char *value; /* NULL = takes none */
    const char *help;
} option_rows[] = {
#define OPTION(name, text, value, help) {text, value, help},
#include "option.def"
#undef OPTION
};
static_assert(OPTION_COUNT <= 32, "a bit each");

static bool fault(struct writer *message, const char *word, const char *what)
{
    write_string(message, word);
    write_string(message, what);
    return false;
}

/* The row that word names; *value is what follows its '=', or NULL. */
static uint32_t option_find(const char *word, const char **value)
{
    size_t size = strcspn(word, "=");
    *value = word[size] == '=' ? word + size + 1 : NULL;
    uint32_t i = 0;
    while (i < OPTION_COUNT &&
           (strlen(option_rows[i].text) != size || strncmp(option_rows[i].text, word, size) != 0))
        i++;
    return i;
}

/* Takes the option at words[*at] and moves over its value. */
static bool option_take(struct arguments *arguments, int count, char *const *words, int *at,
                        struct writer *message)
{
    const char *value;
    const char *word = words[*at];
    uint32_t found = option_find(word, &value);
    if (found == OPTION_COUNT)
        return fault(message, word, ": there is no such option");
    if (arguments->options[found] != NULL)
        return fault(message, option_rows[found].text, " is given twice");
    if (option_rows[found].value == NULL) {
        arguments->options[found] = "";
        return value == NULL || fault(message, option_rows[found].text, " takes no value");
    }
    if (value == NULL && *at + 1 >= count)
        return fault(message, option_rows[found].text, " needs a value");
    arguments->options[found] = value != NULL ? value : words[++*at];
    return true;
}

static bool operand_set(struct arguments *arguments, const char *const *words, uint32_t count,
                        struct writer *message)
{
    const char *operand = arguments->verb->operand;
    arguments->operand = count == 0 ? NULL : words[0];
    if (count > (operand == NULL ? 0u : 1u))
        return fault(message, words[operand == NULL ? 0 : 1], ": one word too many");
    if (count == 0 && operand != NULL && operand[0] != '[') {
        write_string(message, arguments->verb->words);
        return fault(message, " needs ", operand);
    }
    return true;
}

static bool verb_set(struct arguments *arguments, const char *const *words, uint32_t count,
                     struct writer *message)
{
    char text[64];
    if (arguments->options[OPTION_HELP] != NULL || arguments->options[OPTION_VERSION] != NULL) {
        bool is_help = arguments->options[OPTION_HELP] != NULL;
        arguments->verb = verb_find(is_help ? "help" : "version");
        return true;
    }
    if (count == 0)
        return fault(message, "say what to do", "; stentorctl help lists it");
    uint32_t used = count > 1 ? 2 : 1;
    for (; used > 0 && arguments->verb == NULL; used--) {
        snprintf(text, sizeof text, used == 2 ? "%s %s" : "%s", words[0], words[1]);
        arguments->verb = verb_find(text);
        if (arguments->verb != NULL)
            return operand_set(arguments, words + used, count - used, message);
    }
    return fault(message, words[0], ": there is no such command; stentorctl help lists them");
}

static bool options_belong(const struct arguments *arguments, struct writer *message)
{
    for (uint32_t i = 0; i < OPTION_COUNT; i++) {
        bool belongs = ((arguments->verb->options | OPTIONS_OF_ALL) & 1u << i) != 0;
        if (arguments->options[i] == NULL || belongs)
            continue;
        write_string(message, option_rows[i].text);
        return fault(message, " does not belong to ", arguments->verb->words);
    }
    return true;
}

bool arguments_parse(struct arguments *arguments, int count, char *const *words,
                     struct writer *message)
{
    const char *rest[WORDS_MAX] = {"", "", ""};
    uint32_t rest_count = 0;
    bool are_options_over = false;
    *arguments = (struct arguments){0};
    for (int i = 1; i < count; i++) {
        bool is_option = words[i][0] == '-' && words[i][1] != '\0' && !are_options_over;
        if (is_option && strcmp(words[i], "--") == 0) {
            are_options_over = true;
        } else if (is_option) {
            if (!option_take(arguments, count, words, &i, message))
                return false;
        } else if (rest_count == WORDS_MAX) {
            return fault(message, words[i], ": one word too many");
        } else {
            rest[rest_count++] = words[i];
        }
    }
    return verb_set(arguments, rest, rest_count, message) && options_belong(arguments, message);
}

static void options_print(FILE *out, uint32_t options, const char *indent)
{
    for (uint32_t i = 0; i < OPTION_COUNT; i++) {
        if ((options & 1u << i) == 0)
            continue;
        char text[48];
        const char *value = option_rows[i].value;
        snprintf(text, sizeof text, "%s%s%s", option_rows[i].text, value == NULL ? "" : " ",
                 value == NULL ? "" : value);
        fprintf(out, "%s%-18s  %s\n", indent, text, option_rows[i].help);
    }
}

void arguments_help(FILE *out)
{
    fprintf(out, "usage: stentorctl COMMAND [options]\n\n");
    const struct verb *verb;
    for (uint32_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        char text[48];
        snprintf(text, sizeof text, "%s%s%s", verb->words, verb->operand == NULL ? "" : " ",
                 verb->operand == NULL ? "" : verb->operand);
        fprintf(out, "  %-20s  %s\n", text, verb->help);
        options_print(out, verb->options, "      ");
    }
    fprintf(out, "\nwith every command:\n");
    options_print(out, OPTIONS_OF_ALL, "      ");
    fprintf(out, "\nexit: 0 done, 1 refused by the server, 2 wrong usage, 3 no answer,\n"
                 "      4 done, but the output cannot be written\n");
}
