/* SPDX-License-Identifier: Apache-2.0
 *
 * A note between workers: one block, a header and five texts behind it (local part, resource,
 * sender, id, stanza). Made by the worker that has something to say, destroyed by the one that has
 * acted on it; in between it belongs to the ring that carries it. */
#include "stentor/route.h"

static_assert(JID_SIZE_MAX <= UINT16_MAX, "sizes of addresses fit their fields");

static size_t octets_size(const struct route_note *note)
{
    return (size_t)note->local_size + note->resource_size + note->from_size + note->id_size +
           note->text_size;
}

struct bytes note_local(const struct route_note *note)
{
    return bytes_of(note->octets, note->local_size);
}

struct bytes note_resource(const struct route_note *note)
{
    return bytes_of(note->octets + note->local_size, note->resource_size);
}

struct bytes note_from(const struct route_note *note)
{
    return bytes_of(note->octets + note->local_size + note->resource_size, note->from_size);
}

struct bytes note_id(const struct route_note *note)
{
    size_t at = (size_t)note->local_size + note->resource_size + note->from_size;
    return bytes_of(note->octets + at, note->id_size);
}

struct bytes note_text(const struct route_note *note)
{
    return bytes_of(note->octets + octets_size(note) - note->text_size, note->text_size);
}

struct route_note *note_create(struct heap *heap, enum note_kind kind,
                               const struct note_parts *parts)
{
    ASSERT(parts->local.size <= JID_PART_SIZE_MAX);
    ASSERT(parts->resource.size <= JID_PART_SIZE_MAX);
    ASSERT(parts->from.size <= JID_SIZE_MAX);
    ASSERT(parts->id.size <= UINT32_MAX);
    ASSERT(parts->text.size <= UINT32_MAX);
    size_t size = parts->local.size + parts->resource.size + parts->from.size + parts->id.size +
                  parts->text.size;
    struct route_note *note = heap_take(heap, sizeof *note + size);
    if (note == NULL)
        return NULL;
    *note = (struct route_note){
        .kind = (uint8_t)kind,
        .local_size = (uint16_t)parts->local.size,
        .resource_size = (uint16_t)parts->resource.size,
        .from_size = (uint16_t)parts->from.size,
        .id_size = (uint32_t)parts->id.size,
        .text_size = (uint32_t)parts->text.size,
    };
    struct writer octets = writer_of(note->octets, size);
    write_bytes(&octets, parts->local);
    write_bytes(&octets, parts->resource);
    write_bytes(&octets, parts->from);
    write_bytes(&octets, parts->id);
    write_bytes(&octets, parts->text);
    ASSERT(octets.size == size);
    return note;
}

struct route_note *note_create_copy(struct heap *heap, const struct route_note *note)
{
    size_t size = sizeof *note + octets_size(note);
    struct route_note *copy = heap_take(heap, size);
    if (copy != NULL)
        memcpy(copy, note, size);
    return copy;
}

void note_destroy(struct heap *heap, struct route_note **note)
{
    heap_give(heap, *note);
    *note = NULL;
}
