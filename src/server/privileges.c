/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept, by driver: a TAP device needs CAP_NET_ADMIN for its link requests (MAC, MTU,
 * flags) for as long as the port is open; packet sockets and AF_XDP need CAP_NET_RAW and, for
 * their maps, CAP_BPF; a physical port through vfio needs nothing, its descriptors are open. */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

struct driver_needs {
    const char *prefix;
    int count;
    cap_value_t capabilities[3];
};

static const struct driver_needs driver_needs[] = {
    {"tap:", 1, {CAP_NET_ADMIN}},
    {"af_packet:", 1, {CAP_NET_RAW}},
    {"af_xdp:", 3, {CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF}},
    {"", 0, {0}},
};

static const struct driver_needs *needs_of(const char *device)
{
    const struct driver_needs *needs = driver_needs;
    while (!bytes_starts_with(bytes_of_string(device), bytes_of_string(needs->prefix)))
        needs++;
    return needs;
}

static enum error fault(struct writer *message, const char *what)
{
    write_string(message, "cannot drop privileges: ");
    write_string(message, what);
    write_string(message, ": ");
    write_string(message, strerror(errno));
    return ERROR_SYSTEM;
}

static enum error capabilities_keep(const struct driver_needs *needs, struct writer *message)
{
    cap_t kept = cap_init();
    if (kept == NULL)
        return fault(message, "cap_init");
    bool is_set =
        needs->count == 0 ||
        (cap_set_flag(kept, CAP_PERMITTED, needs->count, needs->capabilities, CAP_SET) == 0 &&
         cap_set_flag(kept, CAP_EFFECTIVE, needs->count, needs->capabilities, CAP_SET) == 0);
    is_set = is_set && cap_set_proc(kept) == 0;
    cap_free(kept);
    return is_set ? ERROR_NONE : fault(message, "cap_set_proc");
}

static enum error user_become(const char *name, struct writer *message)
{
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (user == NULL) {
        errno = errno == 0 ? ENOENT : errno;
        return fault(message, "server.user");
    }
    if (prctl(PR_SET_KEEPCAPS, 1) != 0)
        return fault(message, "PR_SET_KEEPCAPS");
    if (initgroups(name, user->pw_gid) != 0)
        return fault(message, "initgroups");
    if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0)
        return fault(message, "setresgid");
    if (setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
        return fault(message, "setresuid");
    return ERROR_NONE;
}

enum error privileges_drop(const struct config *config, struct writer *message)
{
    if (config->server_user[0] != '\0') {
        enum error error = user_become(config->server_user, message);
        if (error != ERROR_NONE)
            return error;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fault(message, "PR_SET_NO_NEW_PRIVS");
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return fault(message, "PR_SET_DUMPABLE");
    return capabilities_keep(needs_of(config->nic_device), message);
}
