/* SPDX-License-Identifier: Apache-2.0
 *
 * One folder, one process. LMDB would let several processes write; our numbers, threads and caches
 * would not, so the folder is held by an flock of its own on `lock`, which the kernel drops however
 * the holder ends. The holder's process id stands in the file, only to name it to a person. */
#include "store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_SIZE_MAX 4096u
/* A longer path is cut in messages, so that it cannot crowd out what is said of it. */
#define NAME_SHOWN_MAX 200u
/* LMDB maps lock.mdb and writes to it through the map, where a full disk would be a SIGBUS; so its
 * blocks are taken beforehand. Room for LMDB's head and some 250 readers. */
#define LMDB_LOCK_SIZE 16384
#define FULL_BYTES_MAX (UINT64_C(1) << 20)

void store_folder_message(struct writer *message, const char *dir, const char *sentence, int code)
{
    const char *reason = code != 0 ? strerrordesc_np(code) : NULL;
    struct bytes name = bytes_of_string(dir);
    if (name.size > NAME_SHOWN_MAX)
        name.size = NAME_SHOWN_MAX;
    write_bytes(message, name);
    write_string(message, ": ");
    write_string(message, sentence);
    if (reason != NULL) {
        write_string(message, ": ");
        write_string(message, reason);
    }
}

static enum error refuse(struct writer *message, const char *dir, const char *sentence, int code)
{
    store_folder_message(message, dir, sentence, code);
    return code == ENOSPC || code == EDQUOT ? ERROR_STORE_FULL : ERROR_SYSTEM;
}

static enum error folder_make(const char *dir, struct writer *message)
{
    struct stat found;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return refuse(message, dir, "the data folder cannot be made", errno);
    if (stat(dir, &found) != 0)
        return refuse(message, dir, "the data folder cannot be looked at", errno);
    if (!S_ISDIR(found.st_mode))
        return refuse(message, dir, "the data folder is not a folder", 0);
    return ERROR_NONE;
}

static int file_open(const char *dir, const char *name)
{
    char path[PATH_SIZE_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (size < 0 || (size_t)size >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Who holds the folder, as far as the lock file tells. */
static void holder_write(int lock_fd, struct writer *message)
{
    char text[16];
    ssize_t size = pread(lock_fd, text, sizeof text, 0);
    if (size <= 0)
        return;
    write_string(message, " (");
    for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; i++)
        write_u8(message, (uint8_t)text[i]);
    write_string(message, ")");
}

/* For people only, so a full disk may leave the file empty. */
static void holder_note(int lock_fd)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    bool is_written =
        ftruncate(lock_fd, 0) == 0 && size > 0 && pwrite(lock_fd, text, (size_t)size, 0) == size;
    (void)is_written;
}

static enum error folder_hold(int lock_fd, const char *dir, struct writer *message)
{
    if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0)
        return ERROR_NONE;
    if (errno != EWOULDBLOCK)
        return refuse(message, dir, "the data folder cannot be locked", errno);
    store_folder_message(message, dir, "the data folder is in use by another process", 0);
    holder_write(lock_fd, message);
    return ERROR_STORE_LOCKED;
}

static enum error lmdb_lock_reserve(const char *dir, struct writer *message)
{
    int fd = file_open(dir, "lock.mdb");
    if (fd < 0)
        return refuse(message, dir, "lock.mdb cannot be opened", errno);
    int code = posix_fallocate(fd, 0, LMDB_LOCK_SIZE);
    close(fd);
    if (code != 0)
        return refuse(message, dir, "no room for lock.mdb", code);
    return ERROR_NONE;
}

enum error store_folder_open(struct store_folder *folder, const char *dir, struct writer *message)
{
    folder->lock_fd = -1;
    enum error error = folder_make(dir, message);
    if (error)
        return error;
    folder->lock_fd = file_open(dir, "lock");
    if (folder->lock_fd < 0)
        return refuse(message, dir, "the data folder cannot be written to", errno);
    error = folder_hold(folder->lock_fd, dir, message);
    if (!error)
        error = lmdb_lock_reserve(dir, message);
    if (error) {
        store_folder_close(folder);
        return error;
    }
    holder_note(folder->lock_fd);
    return ERROR_NONE;
}

void store_folder_close(struct store_folder *folder)
{
    if (folder->lock_fd >= 0)
        close(folder->lock_fd);
    folder->lock_fd = -1;
}

bool store_folder_is_full(const struct store_folder *folder)
{
    struct statvfs disk;
    if (fstatvfs(folder->lock_fd, &disk) != 0)
        return false;
    return (uint64_t)disk.f_bavail * disk.f_frsize < FULL_BYTES_MAX;
}

enum error store_folder_flush(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERROR_SYSTEM;
    int result = fsync(fd);
    close(fd);
    return result == 0 ? ERROR_NONE : ERROR_SYSTEM;
}
