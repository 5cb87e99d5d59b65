/* SPDX-License-Identifier: Apache-2.0
 *
 * Big-endian integers as they stand on the wire: octet arrays, so a wire structure has alignment 1
 * and no padding, and arithmetic on an unconverted field does not compile. Any thread. */
#ifndef STENTOR_BYTEORDER_H
#define STENTOR_BYTEORDER_H

#include <stdint.h>
#include <string.h>

struct be16 {
    uint8_t octet[2];
};
struct be32 {
    uint8_t octet[4];
};
struct be64 {
    uint8_t octet[8];
};

static inline uint16_t be16_get(struct be16 value)
{
    return (uint16_t)(value.octet[0] << 8 | value.octet[1]);
}

static inline uint32_t be32_get(struct be32 value)
{
    uint32_t raw;
    memcpy(&raw, value.octet, sizeof raw);
    return __builtin_bswap32(raw);
}

static inline uint64_t be64_get(struct be64 value)
{
    uint64_t raw;
    memcpy(&raw, value.octet, sizeof raw);
    return __builtin_bswap64(raw);
}

static inline struct be16 be16_of(uint16_t value)
{
    return (struct be16){{(uint8_t)(value >> 8), (uint8_t)value}};
}

static inline struct be32 be32_of(uint32_t value)
{
    struct be32 result;
    uint32_t raw = __builtin_bswap32(value);
    memcpy(result.octet, &raw, sizeof raw);
    return result;
}

static inline struct be64 be64_of(uint64_t value)
{
    struct be64 result;
    uint64_t raw = __builtin_bswap64(value);
    memcpy(result.octet, &raw, sizeof raw);
    return result;
}

#endif
