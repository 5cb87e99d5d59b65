/* SPDX-License-Identifier: Apache-2.0
 *
 * server.data_dir: made with mode 0700, owned by server.user; and install.key in it, 32 random
 * octets that must outlive restarts (salts shown for unknown users hang on them). */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server_state.h"

#define PATH_SIZE_MAX (CONFIG_TEXT_MAX + 32u)

static enum error fault(struct writer *message, const char *path, const char *what)
{
    write_string(message, path);
    write_string(message, ": ");
    write_string(message, what);
    write_string(message, ": ");
    write_string(message, strerror(errno));
    return ERROR_SYSTEM;
}

enum error data_folder_prepare(const struct config *config, struct writer *message)
{
    const char *path = config->server_data_dir;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fault(message, path, "cannot make the data folder (server.data_dir)");
    if (config->server_user[0] == '\0')
        return ERROR_NONE;
    const struct passwd *user = getpwnam(config->server_user);
    if (user == NULL) {
        errno = ENOENT;
        return fault(message, config->server_user, "no such user (server.user)");
    }
    if (chown(path, user->pw_uid, user->pw_gid) != 0)
        return fault(message, path, "cannot give the data folder to server.user");
    return ERROR_NONE;
}

static enum error key_read(const char *path, uint8_t *key, struct writer *message)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return errno == ENOENT ? ERROR_NOT_FOUND : fault(message, path, "cannot be opened");
    ssize_t size = read(file, key, XMPP_INSTALL_KEY_SIZE);
    close(file);
    if (size == (ssize_t)XMPP_INSTALL_KEY_SIZE)
        return ERROR_NONE;
    errno = size < 0 ? errno : EINVAL;
    return fault(message, path, "is not a key of 32 octets");
}

/* Written beside and renamed, so that a crash leaves a whole key or none. */
static enum error key_write(const char *path, const uint8_t *key, struct writer *message)
{
    char beside[PATH_SIZE_MAX + 8];
    snprintf(beside, sizeof beside, "%s.new", path);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return fault(message, beside, "cannot be made");
    bool is_written =
        write(file, key, XMPP_INSTALL_KEY_SIZE) == XMPP_INSTALL_KEY_SIZE && fsync(file) == 0;
    is_written = close(file) == 0 && is_written;
    if (!is_written || rename(beside, path) != 0)
        return fault(message, path, "cannot be written");
    return ERROR_NONE;
}

enum error data_folder_key(const struct config *config, struct random *random,
                           uint8_t key[XMPP_INSTALL_KEY_SIZE], struct writer *message)
{
    char path[PATH_SIZE_MAX];
    snprintf(path, sizeof path, "%s/install.key", config->server_data_dir);
    enum error error = key_read(path, key, message);
    if (error != ERROR_NOT_FOUND)
        return error;
    random_fill(random, key, XMPP_INSTALL_KEY_SIZE);
    return key_write(path, key, message);
}
