/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_eal.c: the EAL on hugepages, refusing an argument, and leaving the caller's
 * affinity alone. Every case is a child process (bench.h); without root all is skipped. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "bench.h"

#define HUGEPAGES 80ul

static const char hugepages_file[] = "/proc/sys/vm/nr_hugepages";

static unsigned long hugepages_get(void)
{
    unsigned long count = 0;
    FILE *file = fopen(hugepages_file, "r");
    if (file != NULL) {
        if (fscanf(file, "%lu", &count) != 1)
            count = 0;
        (void)fclose(file);
    }
    return count;
}

static bool hugepages_set(unsigned long count)
{
    FILE *file = fopen(hugepages_file, "w");
    if (file == NULL)
        return false;
    (void)fprintf(file, "%lu", count);
    return fclose(file) == 0;
}

static void hugepages_body(void)
{
    struct bench bench;
    bench_init(&bench);
    bench.config.nic_hugepages = true;
    if (bench_try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL)) {
        (void)fprintf(stderr, "%s\n", bench.said);
        _exit(1);
    }
    bench_both_ways(bench.queues[0], kernel_socket("stn0"), 1514);
    bench_exhaust(&bench);
    bench_close(&bench);
}

/* The same on hugepages, where root can reserve some; they are given back. */
static void hugepages(void **state)
{
    (void)state;
    if (!bench_can_run())
        skip();
    unsigned long before = hugepages_get();
    bool is_reserved = hugepages_set(before + HUGEPAGES) && hugepages_get() >= before + HUGEPAGES;
    pid_t child = is_reserved ? fork() : -1;
    if (child == 0) {
        bench_live_briefly();
        CLAIM(unshare(CLONE_NEWNET) == 0);
        hugepages_body();
        exit(0);
    }
    int status = -1;
    if (child > 0)
        (void)waitpid(child, &status, 0);
    (void)hugepages_set(before);
    if (!is_reserved)
        skip();
    assert_int_equal(status, 0);
    assert_int_equal(hugepages_get(), before);
}

static void eal_fault_body(void)
{
    struct bench bench;
    bench_init(&bench);
    bench.config.nic_eal.count = 1;
    (void)snprintf(bench.config.nic_eal.items[0], CONFIG_TEXT_MAX, "--no-such-option");
    CLAIM(bench_try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL) == ERROR_SYSTEM);
    CLAIM(strstr(bench.said, "DPDK did not start") != NULL);
    (void)fprintf(stderr, "  %s\n", bench.said);
}

/* An argument the EAL does not know ends in its own words. */
static void eal_faults(void **state)
{
    (void)state;
    bench_run(eal_fault_body);
}

static void keeps_affinity_body(void)
{
    struct bench bench;
    cpu_set_t before, after;
    CLAIM(pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0);
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    CLAIM(pthread_getaffinity_np(pthread_self(), sizeof after, &after) == 0);
    CLAIM(CPU_EQUAL(&before, &after));
    bench_close(&bench);
}

/* The EAL does not pin the thread that starts it. */
static void keeps_affinity(void **state)
{
    (void)state;
    bench_run(keeps_affinity_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hugepages),
        cmocka_unit_test(eal_faults),
        cmocka_unit_test(keeps_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
