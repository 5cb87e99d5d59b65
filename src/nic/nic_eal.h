/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting the DPDK EAL for one device. Once a process, by its main thread. */
#ifndef NIC_EAL_H
#define NIC_EAL_H

#include "stentor/config.h"
#include "nic_device.h"

/* Starts it; on a fault a sentence a person can act on, with the EAL's own last words. The calling
 * thread keeps its processor affinity. */
MUST_USE enum error nic_eal_start(const struct config *config, const struct nic_device *device,
                                  struct writer *message);
void nic_eal_stop(void);

#endif
