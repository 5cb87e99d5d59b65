/* SPDX-License-Identifier: Apache-2.0
 *
 * Any octets as a configuration file: taken or refused with a reason, and what was taken prints as
 * a file that is read back to the same. */
#include <string.h>

#include "stentor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct config config;
static struct config again;
static uint8_t faults[65536];
static uint8_t printed[CONFIG_FILE_SIZE_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    struct writer message = writer_of(faults, sizeof(faults));
    enum error error = config_read_text(&config, "fuzz", bytes_of(octets, size), &message);
    ASSERT((error != ERROR_NONE) == (message.size != 0 || message.is_overflown));
    if (error)
        return 0;
    struct writer into = writer_of(printed, sizeof(printed));
    config_print(&config, &into);
    ASSERT(!into.is_overflown);
    error = config_read_text(&again, "printed", writer_bytes(&into), &message);
    ASSERT(error == ERROR_NONE);
    ASSERT(memcmp(&config, &again, sizeof(config)) == 0);
    return 0;
}
