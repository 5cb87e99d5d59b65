/* SPDX-License-Identifier: Apache-2.0
 *
 * The bench of the port tests: a real port of a virtual kind on our side, the kernel (or another
 * process) on the other. The EAL starts once a process and a test must not touch the machine's own
 * network, so a case runs in a child process in a network namespace of its own. In the child there
 * is no cmocka: CLAIM ends it, and the parent fails. Only as root with /dev/net/tun, else skipped.
 *
 *   bench_   our side     kernel_   the other side     frame_   what travels */
#ifndef NIC_BENCH_H
#define NIC_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "nic_port.h"
#include "stentor/clock.h"
#include "stentor/nic.h"

#define PATIENCE_NS (5 * NS_PER_SECOND)
#define QUEUES 2u
#define SKIPPED 77 /* a child's exit status */
#define NOT_OURS UINT32_MAX

#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

struct bench {
    struct config config;
    struct nic_port *port;
    struct nic_queue *queues[QUEUES];
    struct metrics metrics[QUEUES];
    char said[1024]; /* the message of a refused open */
};

/* ---- cases ---- */
bool bench_can_run(void);
void bench_run(void (*body)(void));
/* No child outlives the test or hangs it. */
void bench_live_briefly(void);
_Noreturn void bench_give_up(const char *why);
void bench_shell(const char *command);

/* ---- our side ---- */
void bench_init(struct bench *bench); /* default configuration, small rings */
enum error bench_try_open(struct bench *bench, const char *device, uint32_t queue_count,
                          enum nic_offload offload);
/* bench_init() and an open that must succeed. */
void bench_open(struct bench *bench, const char *device, uint32_t queue_count,
                enum nic_offload offload);
void bench_close(struct bench *bench);
/* Waits for the test frame of that number; the packet stays with the caller. */
struct packet bench_expect(struct nic_queue *queue, uint32_t number);
void bench_send(struct nic_queue *queue, const uint8_t mac[6], uint32_t number, size_t size);
/* Frames of all sizes in both directions, replies in the received buffer too. */
void bench_both_ways(struct nic_queue *queue, int kernel, size_t size_max);
/* An oversize frame is counted and dropped, and the frames around it leave unharmed. */
void bench_oversize(struct nic_queue *queue, int kernel);
/* An empty pool refuses, is counted, and works again when buffers come back; none got lost. */
void bench_exhaust(struct bench *bench);

/* ---- the kernel's side ---- */
int kernel_socket(const char *interface); /* raw, not blocking */
void kernel_send(int descriptor, const uint8_t mac[6], uint32_t number, size_t size);
size_t kernel_expect(int descriptor, uint32_t number); /* returns the frame's size */
/* 10.99.0.1/24, and 10.99.0.2 known to be at mac. */
void kernel_address(const char *interface, const uint8_t mac[6]);
int kernel_connect(void); /* sends a SYN to 10.99.0.2:5222 */
void kernel_veth(void);   /* va and vb, up, offloads off */

/* ---- frames ---- */
size_t frame_write(uint8_t *into, const uint8_t mac[6], uint32_t number, size_t size);
uint32_t frame_number(struct bytes frame); /* NOT_OURS for the kernel's own noise */
bool frame_is_tcp(const struct packet *packet);

#endif
