/* SPDX-License-Identifier: Apache-2.0
 *
 * The EAL's command line, made from the configuration.
 *
 *   no hugepages:  --no-huge --no-shconf -m N        (--in-memory is refused beside --no-huge)
 *   hugepages:     --in-memory -m N                  (nothing is left behind in hugetlbfs)
 *   always:        a file prefix of our own, no telemetry thread, errors only
 *   virtual ports: --no-pci --vdev ...               PCI: --allow ADDRESS
 *
 * One EAL lcore is declared and floated over all processors we may use: the EAL would otherwise
 * pin the calling thread to a core of its choice. Workers are not EAL threads; they register
 * themselves (nic_dpdk.c). What the EAL logs while it starts is kept and its last line quoted when
 * it fails, since that line mostly names the cause. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "nic_eal.h"

#define ARGUMENTS_MAX (24u + CONFIG_LIST_MAX)
#define ARGUMENT_SIZE_MAX 512u
#define EAL_LOG_SIZE 8192u
#define HUGEPAGE_BYTES (UINT64_C(2) << 20)

struct arguments {
    int count;
    char texts[ARGUMENTS_MAX][ARGUMENT_SIZE_MAX];
    char *pointers[ARGUMENTS_MAX + 1];
};

static void add(struct arguments *arguments, const char *text)
{
    ASSERT((size_t)arguments->count < ARGUMENTS_MAX);
    char *into = arguments->texts[arguments->count];
    (void)snprintf(into, ARGUMENT_SIZE_MAX, "%s", text);
    arguments->pointers[arguments->count++] = into;
    arguments->pointers[arguments->count] = NULL;
}

static void add_memory(struct arguments *arguments, const struct config *config)
{
    char text[32];
    if (config->nic_hugepages) {
        add(arguments, "--in-memory");
    } else {
        add(arguments, "--no-huge");
        add(arguments, "--no-shconf");
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)(config->nic_memory >> 20));
    add(arguments, "-m");
    add(arguments, text);
}

/* lcore 0 on every processor of `allowed`: "0@(0,1,5)". */
static void add_lcore(struct arguments *arguments, const cpu_set_t *allowed)
{
    char text[ARGUMENT_SIZE_MAX];
    int size = snprintf(text, sizeof text, "0@(");
    const char *comma = "";
    for (size_t cpu = 0; cpu < CPU_SETSIZE && size < (int)sizeof text - 16; cpu++) {
        if (!CPU_ISSET(cpu, allowed))
            continue;
        size += snprintf(text + size, sizeof text - (size_t)size, "%s%zu", comma, cpu);
        comma = ",";
    }
    (void)snprintf(text + size, sizeof text - (size_t)size, ")");
    add(arguments, "--lcores");
    add(arguments, text);
}

static void collect(struct arguments *arguments, const struct config *config,
                    const struct nic_device *device, const cpu_set_t *allowed)
{
    char prefix[64];
    arguments->count = 0;
    add(arguments, "stentor");
    (void)snprintf(prefix, sizeof prefix, "--file-prefix=stentor-%d", (int)getpid());
    add(arguments, prefix);
    add(arguments, "--no-telemetry");
    add(arguments, "--log-level=*:error");
    add_memory(arguments, config);
    add_lcore(arguments, allowed);
    if (device->kind == NIC_DEVICE_PCI) {
        add(arguments, "--allow");
    } else {
        add(arguments, "--no-pci");
        add(arguments, "--vdev");
    }
    add(arguments, device->arguments);
    for (uint32_t i = 0; i < config->nic_eal.count; i++)
        add(arguments, config->nic_eal.items[i]);
}

static uint64_t read_number(const char *path)
{
    char text[32] = {0};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    return size == 0 ? 0 : strtoull(text, NULL, 10);
}

/* Told before the EAL is: it speaks of missing hugepages in six lines, none of which helps. */
static enum error check_hugepages(const struct config *config, struct writer *message)
{
    if (!config->nic_hugepages)
        return ERROR_NONE;
    uint64_t needed = (config->nic_memory + HUGEPAGE_BYTES - 1) / HUGEPAGE_BYTES;
    uint64_t free_2m = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    uint64_t free_1g = read_number("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages");
    if (free_2m + free_1g * 512 >= needed)
        return ERROR_NONE;
    write_string(message, "nic.memory needs ");
    write_decimal(message, needed);
    write_string(message, " free hugepages of 2 MB, ");
    write_decimal(message, free_2m);
    write_string(message, " are free: run `sysctl vm.nr_hugepages=");
    write_decimal(message, needed + read_number("/proc/sys/vm/nr_hugepages") - free_2m);
    write_string(message, "`, lower nic.memory, or set nic.hugepages: false");
    return ERROR_NO_MEMORY;
}

/* The last line that says something. */
static struct bytes last_line(struct bytes text)
{
    while (text.size != 0 && text.at[text.size - 1] <= ' ')
        text.size--;
    size_t start = text.size;
    while (start != 0 && text.at[start - 1] != '\n')
        start--;
    return bytes_from(text, start);
}

static enum error explain(int reason, struct bytes log, const struct nic_device *device,
                          struct writer *message)
{
    if (reason == EALREADY) {
        write_string(message, "DPDK can be started once a process");
        return ERROR_EXISTS;
    }
    write_string(message, "DPDK did not start for ");
    write_string(message, device->arguments);
    write_string(message, ": ");
    write_string(message, rte_strerror(reason));
    struct bytes line = last_line(log);
    if (line.size != 0) {
        write_string(message, "; it said: ");
        write_bytes(message, line);
    }
    if (geteuid() != 0)
        write_string(message,
                     "; it needs root, or the capabilities named in dpdk-config/README.md");
    return ERROR_SYSTEM;
}

enum error nic_eal_start(const struct config *config, const struct nic_device *device,
                         struct writer *message)
{
    struct arguments arguments;
    char log_text[EAL_LOG_SIZE] = {0};
    cpu_set_t allowed;
    enum error error = check_hugepages(config, message);
    if (error)
        return error;
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) {
        CPU_ZERO(&allowed);
        CPU_SET(0, &allowed);
    }
    collect(&arguments, config, device, &allowed);

    FILE *log = fmemopen(log_text, sizeof log_text - 1, "w");
    if (log != NULL)
        (void)rte_openlog_stream(log);
    int result = rte_eal_init(arguments.count, arguments.pointers);
    int reason = rte_errno;
    (void)rte_openlog_stream(NULL);
    if (log != NULL)
        (void)fclose(log);
    (void)pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
    if (result < 0)
        return explain(reason, bytes_of_string(log_text), device, message);
    /* From here on net_tap only complains that it has no secondary process to tell things, and
     * net_memif that its peer is not there yet. */
    (void)rte_log_set_level_pattern("pmd.net.tap", RTE_LOG_CRIT);
    (void)rte_log_set_level_pattern("pmd.net.memif", RTE_LOG_CRIT);
    return ERROR_NONE;
}

/* The EAL makes a folder of our prefix under /run/dpdk (or the user's runtime folder), and leaves
 * it behind. It is empty by now, or it is not ours to remove; without the right to, it stays. */
void nic_eal_stop(void)
{
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s", rte_eal_get_runtime_dir());
    (void)rte_eal_cleanup();
    (void)rmdir(folder);
}
