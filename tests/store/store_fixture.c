/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the tests of src/store; see store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stentor/clock.h"

int fixture_make(void **state)
{
    static struct fixture fixture;
    char parent[] = "/tmp/stentor-store-XXXXXX";
    memset(&fixture, 0, sizeof fixture);
    assert_non_null(mkdtemp(parent));
    snprintf(fixture.dir, sizeof fixture.dir, "%s/data", parent);
    heap_init(&fixture.heap, FIXTURE_HEAP_BYTES);
    fixture.options = (struct store_options){
        .dir = fixture.dir,
        .heap = &fixture.heap,
        .map_bytes = FIXTURE_MAP_BYTES,
        .queue_capacity = 1024,
        .mode = STORE_INLINE,
        .sync = STORE_SYNC_RELAXED,
    };
    *state = &fixture;
    return 0;
}

void fixture_remove(const char *dir)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;
    char path[512];
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    if (folder != NULL)
        closedir(folder);
    rmdir(dir);
}

int fixture_drop(void **state)
{
    struct fixture *fixture = *state;
    char parent[64];
    fixture_close(fixture);
    fixture_remove(fixture->dir);
    snprintf(parent, sizeof parent, "%.*s", (int)(strlen(fixture->dir) - strlen("/data")),
             fixture->dir);
    rmdir(parent);
    assert_int_equal(heap_used_bytes(&fixture->heap), 0);
    return 0;
}

enum error fixture_open(struct fixture *fixture)
{
    fixture->message = writer_of(fixture->text, sizeof fixture->text - 1);
    enum error error = store_open(&fixture->store, &fixture->options, &fixture->message);
    fixture->text[fixture->message.size] = '\0';
    if (error) {
        assert_null(fixture->store);
        assert_true(fixture->message.size > 0);
        return error;
    }
    return store_port_create(fixture->store, &fixture->metrics, -1, &fixture->port);
}

void fixture_close(struct fixture *fixture)
{
    store_close(&fixture->store);
    assert_null(fixture->store);
    fixture->port = NULL;
}

struct store_request *fixture_request(struct fixture *fixture, enum store_kind kind,
                                      const char *local)
{
    struct store_request *request;
    assert_int_equal(store_request_create(fixture->store, kind, &request), ERROR_NONE);
    if (local != NULL)
        assert_true(account_set_local(&request->account, bytes_of_string(local)));
    if (kind == STORE_ACCOUNT_CREATE) {
        request->account.is_enabled = true;
        request->account.created_at_ms = 1700000000123;
        fixture_keys(&request->account, (uint8_t)local[0]);
    }
    return request;
}

enum error fixture_call(struct fixture *fixture, struct store_request **request)
{
    const struct store_request *sent = *request;
    assert_int_equal(store_submit(fixture->port, request), ERROR_NONE);
    assert_null(*request);
    for (uint32_t tries = 0; *request == NULL && tries < 20000; tries++) {
        if (fixture->options.mode == STORE_INLINE)
            store_turn(fixture->store);
        *request = store_port_take(fixture->port);
        if (*request == NULL)
            clock_sleep_ns(NS_PER_MS / 2);
    }
    assert_ptr_equal(*request, sent);
    return (*request)->error;
}

enum error fixture_do(struct fixture *fixture, enum store_kind kind, const char *local)
{
    struct store_request *request = fixture_request(fixture, kind, local);
    enum error error = fixture_call(fixture, &request);
    store_request_destroy(fixture->store, &request);
    return error;
}

uint32_t fixture_count(struct fixture *fixture)
{
    struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_COUNT, NULL);
    assert_int_equal(fixture_call(fixture, &request), ERROR_NONE);
    uint32_t count = request->count;
    store_request_destroy(fixture->store, &request);
    return count;
}

void fixture_keys(struct account *account, uint8_t seed)
{
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++) {
        uint32_t size = digest_size((enum digest_kind)i);
        struct scram_keys *keys = &account->scram[i];
        *keys = (struct scram_keys){
            .rounds = SCRAM_ROUNDS_MIN + i, .kind = (uint8_t)i, .salt_size = SCRAM_SALT_SIZE_MAX};
        memset(keys->salt, seed + (int)i, sizeof keys->salt);
        memset(keys->stored_key, seed + 64 + (int)i, size);
        memset(keys->server_key, seed + 128 + (int)i, size);
    }
}

void fixture_path(const struct fixture *fixture, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", fixture->dir, name);
}
