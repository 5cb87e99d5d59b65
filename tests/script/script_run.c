/* SPDX-License-Identifier: Apache-2.0
 *
 * script_run [--record] [--linux] [--list] [--case NAME] FILE|FOLDER...
 * Plays every case against our stack in virtual time and prints "ok NAME" or "FAIL NAME: line N:
 * expected ... got ..."; exit 1 when one failed or there was none. --record writes down what
 * happened instead of judging it; --linux does so with the kernel (root, real time). --list prints
 * the names, and how many seconds each takes. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "script_play.h"

#define FILES_MAX 512u

struct runner {
    const struct play_side *side;
    bool is_recording;
    bool is_listing;
    bool must_fail;
    const char *only;
    uint32_t ok_count;
    uint32_t failed_count;
    uint32_t file_count;
    char *files[FILES_MAX];
};

/* Not counting what a stack adds by itself. */
static double seconds_of(const struct script *script)
{
    double seconds = 0;
    for (uint32_t i = 0; i < script->step_count; i++) {
        const struct script_step *step = &script->steps[i];
        seconds += step->is_absolute ? 0 : (double)step->until_ns / 1e9;
        if (step->kind == SCRIPT_COMMAND && step->word_count > 1 &&
            strcmp(step->words[0], "silence") == 0)
            seconds += strtod(step->words[1], NULL);
    }
    return seconds;
}

static void run_case(void *owner, const struct script *script, const char *fault)
{
    struct runner *runner = owner;
    static struct play play;
    if (runner->only != NULL && strcmp(runner->only, script->name) != 0)
        return;
    if (runner->is_listing) {
        printf("%s %.3f\n", script->name, seconds_of(script));
        runner->ok_count++;
        return;
    }
    if (runner->is_recording)
        printf("case %s\n", script->name);
    if (fault[0] == 0) {
        play_run(&play, script, runner->side, runner->is_recording ? stdout : NULL);
        fault = play.fault;
    }
    bool is_ok = (fault[0] == 0) != runner->must_fail;
    if (fault[0] == 0)
        fault = "it should have failed";
    runner->ok_count += is_ok;
    runner->failed_count += !is_ok;
    if (!is_ok)
        printf("FAIL %s: %s\n", script->name, fault);
    else if (!runner->is_recording)
        printf("ok %s\n", script->name);
    fflush(stdout);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static void find_files(struct runner *runner, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
        if (runner->file_count < FILES_MAX)
            runner->files[runner->file_count++] = strdup(path);
        return;
    }
    DIR *folder = opendir(path);
    if (folder == NULL) {
        printf("FAIL %s: cannot be read\n", path);
        runner->failed_count++;
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[1024];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_type == DT_DIR || ends_with(name, ".script"))
            find_files(runner, name);
    }
    closedir(folder);
}

int main(int count, char **arguments)
{
    static struct runner runner = {.side = &play_stack};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--record") == 0)
            runner.is_recording = true;
        else if (strcmp(arguments[i], "--list") == 0)
            runner.is_listing = true;
        else if (strcmp(arguments[i], "--refused") == 0)
            runner.must_fail = true;
        else if (strcmp(arguments[i], "--linux") == 0)
            runner.side = &play_linux;
        else if (strcmp(arguments[i], "--case") == 0 && i + 1 < count)
            runner.only = arguments[++i];
        else
            find_files(&runner, arguments[i]);
    }
    qsort(runner.files, runner.file_count, sizeof runner.files[0], compare_names);
    struct script_reader reader = {run_case, &runner};
    for (uint32_t i = 0; i < runner.file_count; i++) {
        (void)script_read_file(runner.files[i], &reader);
        free(runner.files[i]);
    }
    if (!runner.is_recording && !runner.is_listing)
        printf("%u passed, %u failed\n", runner.ok_count, runner.failed_count);
    return runner.failed_count == 0 && runner.ok_count != 0 ? 0 : 1;
}
