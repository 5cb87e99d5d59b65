/* SPDX-License-Identifier: Apache-2.0
 *
 * The bearer token: 32 random octets as base64url, shown once, when it is made. The data folder
 * keeps only its SHA-256, so a copied folder opens nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "admin_state.h"
#include "stentor/text.h"

#define TOKEN_OCTETS 32u
#define TOKEN_FILE "admin.token.sha256"
#define PATH_SIZE_MAX (CONFIG_TEXT_MAX + 64u)

static enum error fault(struct writer *message, const char *path, const char *what)
{
    write_string(message, path);
    write_string(message, ": ");
    write_string(message, what);
    write_string(message, ": ");
    write_string(message, strerror(errno));
    return ERROR_SYSTEM;
}

static void hash(const struct admin *admin, const char *token, uint8_t into[32])
{
    digest_hash(admin->digests.of[DIGEST_SHA256], bytes_of_string(token), into);
}

static void make(struct random *random, char token[ADMIN_TOKEN_SIZE + 1])
{
    static_assert((TOKEN_OCTETS * 8 + 5) / 6 == ADMIN_TOKEN_SIZE, "base64 without padding");
    uint8_t octets[TOKEN_OCTETS];
    char text[ADMIN_TOKEN_SIZE + 2];
    random_fill(random, octets, sizeof octets);
    struct writer writer = writer_of(text, sizeof text);
    write_base64(&writer, bytes_of(octets, sizeof octets));
    for (uint32_t i = 0; i < ADMIN_TOKEN_SIZE; i++)
        token[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    token[ADMIN_TOKEN_SIZE] = '\0';
    bytes_wipe(octets, sizeof octets);
    bytes_wipe(text, sizeof text);
}

static enum error hash_read(struct admin *admin, const char *path, struct writer *message)
{
    uint8_t text[65];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return errno == ENOENT ? ERROR_NOT_FOUND : fault(message, path, "cannot be opened");
    ssize_t size = read(file, text, sizeof text);
    close(file);
    struct writer writer = writer_of(admin->token_hash, sizeof admin->token_hash);
    if (size == 65 && text[64] == '\n' && hex_decode(bytes_of(text, 64), &writer))
        return ERROR_NONE;
    errno = EINVAL;
    return fault(message, path, "does not hold a token's hash (delete it to have a new one made)");
}

/* The token is about to be shown: its name in the folder must outlive a power cut too. */
static bool folder_sync(const struct admin *admin)
{
    int folder = open(admin->config->server_data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    bool is_synced = fsync(folder) == 0;
    return close(folder) == 0 && is_synced;
}

static enum error hash_write(const struct admin *admin, const char *path, struct writer *message)
{
    char beside[PATH_SIZE_MAX + 8];
    uint8_t text[66];
    struct writer writer = writer_of(text, sizeof text);
    write_hex(&writer, bytes_of(admin->token_hash, sizeof admin->token_hash));
    write_u8(&writer, '\n');
    snprintf(beside, sizeof beside, "%s.new", path);
    unlink(beside); /* of a start that was cut off, with whatever mode it has */
    int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return fault(message, beside, "cannot be made");
    bool is_written = write(file, text, writer.size) == (ssize_t)writer.size && fsync(file) == 0;
    is_written = close(file) == 0 && is_written;
    if (is_written && rename(beside, path) == 0 && folder_sync(admin))
        return ERROR_NONE;
    return fault(message, path, "cannot be written");
}

enum error token_open(struct admin *admin, char shown[ADMIN_TOKEN_SIZE + 1], struct writer *message)
{
    char path[PATH_SIZE_MAX];
    shown[0] = '\0';
    snprintf(path, sizeof path, "%s/" TOKEN_FILE, admin->config->server_data_dir);
    enum error error = hash_read(admin, path, message);
    if (error != ERROR_NOT_FOUND)
        return error;
    make(admin->random, shown);
    hash(admin, shown, admin->token_hash);
    error = hash_write(admin, path, message);
    if (error != ERROR_NONE)
        shown[0] = '\0';
    return error;
}

bool token_is_good(const struct admin *admin, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    uint8_t given[32];
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    hash(admin, authorization + strspn(authorization, " "), given);
    return bytes_equal_secret(bytes_of(given, sizeof given),
                              bytes_of(admin->token_hash, sizeof admin->token_hash));
}
