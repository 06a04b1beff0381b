/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.c - sets of a case's tensors in device memory. */
#include <config.h>

#include "base/inject.h"
#include "check/buffers.h"
#include "base/saturate.h"

/* Every set begins at a multiple of this, in bytes, as an allocation of its own would. */
#define SET_ALIGNMENT 256

/* Every tensor's sets begin at a multiple of this in memory that they share, as they would in memory of their own. */
#define TENSOR_ALIGNMENT ((uint64_t)2 << 20)

static uint64_t set_stride(uint64_t bytes)
{
    return (bytes + SET_ALIGNMENT - 1) / SET_ALIGNMENT * SET_ALIGNMENT;
}

uint64_t buffers_memory(const struct sizes *bytes, uint64_t count)
{
    uint64_t set = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        set = saturate_add(set, set_stride(bytes->of[role]));
    }
    return saturate_multiply(count, set);
}

static void *copy_at(const struct copies *copies, unsigned set)
{
    return (char *)copies->memory + set * copies->stride;
}

/* Fill the copies of a tensor of BYTES bytes with VERIFY_POISON. Each is filled by itself, so that on the CPU the
 * threads that will use its parts are the first to touch them. */
static enum qb_status fill_copies(struct qb_device *device, uint64_t bytes, const struct copies *copies)
{
    enum qb_status status = QB_OK;

    /* Small ones together: no thread of its own touches a part of a page, and a call for each takes long. */
    if (bytes < (uint64_t)1 << 20) {
        return qb_memory_fill(device, copies->memory, VERIFY_POISON, copies->count * copies->stride);
    }
    for (unsigned i = 0; i < copies->count && status == QB_OK; i++) {
        status = qb_memory_fill(device, copy_at(copies, i), VERIFY_POISON, copies->stride);
    }
    return status;
}

/* Put the BYTES bytes at SOURCE (host) into every copy: into the first from the host, then from copy to copy. */
static enum qb_status write_copies(struct qb_device *device, struct qb_queue *queue, const struct copies *copies,
                                   const void *source, uint64_t bytes)
{
    enum qb_status status = qb_memory_write(device, copies->memory, source, bytes);

    for (uint64_t done = 1; done < copies->count && status == QB_OK; done *= 2) {
        uint64_t more = copies->count - done < done ? copies->count - done : done;

        status = qb_queue_copy(queue, copy_at(copies, (unsigned)done), copies->memory, more * copies->stride);
    }
    return status == QB_OK ? qb_queue_synchronize(queue) : status;
}

/* Fill the copies of all tensors, with GIVEN where that is known. */
static enum qb_status fill_all(const struct buffers *buffers, struct qb_queue *queue,
                               const void *const given[QB_ROLE_COUNT])
{
    enum qb_status status = QB_OK;

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        const struct copies *copies = &buffers->copies[role];

        status = fill_copies(buffers->device, buffers->bytes.of[role], copies);
        if (status == QB_OK && given[role] != NULL) {
            status = write_copies(buffers->device, queue, copies, given[role], buffers->bytes.of[role]);
        }
    }
    return status;
}

enum qb_status buffers_make(struct qb_device *device, struct qb_queue *queue, const struct sizes *bytes, unsigned count,
                            const void *const given[QB_ROLE_COUNT], struct buffers *buffers)
{
    enum qb_status status = QB_OK;

    *buffers = (struct buffers){.device = device, .bytes = *bytes};
    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        struct copies *copies = &buffers->copies[role];

        *copies = (struct copies){.stride = set_stride(bytes->of[role]), .count = count};
        status = qb_memory_alloc(device, count * copies->stride, &copies->memory);
    }
    return status == QB_OK ? fill_all(buffers, queue, given) : status;
}

/* The bytes that COUNT copies of BYTES bytes take of memory that they share with others. */
static uint64_t tensor_room(uint64_t bytes, uint64_t count)
{
    const uint64_t all = saturate_multiply(count, set_stride(bytes));

    return saturate_add(all, TENSOR_ALIGNMENT - 1) / TENSOR_ALIGNMENT * TENSOR_ALIGNMENT;
}

uint64_t buffers_room(const struct sizes *bytes, uint64_t count)
{
    uint64_t room = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        room = saturate_add(room, tensor_room(bytes->of[role], count));
    }
    return room;
}

enum qb_status buffers_place(struct qb_device *device, struct qb_queue *queue, const struct sizes *bytes,
                             unsigned count, const void *const given[QB_ROLE_COUNT], void *room,
                             struct buffers *buffers)
{
    char *next = room;

    *buffers = (struct buffers){.device = device, .borrowed = true, .bytes = *bytes};
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        buffers->copies[role] = (struct copies){next, set_stride(bytes->of[role]), count};
        next += tensor_room(bytes->of[role], count);
    }
    return fill_all(buffers, queue, given);
}

bool buffers_in_huge_pages(const struct buffers *buffers, uint64_t *huge)
{
    uint64_t sum = 0;

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        const struct copies *copies = &buffers->copies[role];
        uint64_t more;

        if (qb_memory_in_huge_pages(buffers->device, copies->memory, copies->count * copies->stride, &more) != QB_OK) {
            return false;
        }
        sum += more;
    }
    *huge = sum;
    return true;
}

void buffers_free(struct buffers *buffers)
{
    for (int role = 0; role < QB_ROLE_COUNT && !buffers->borrowed; role++) {
        qb_memory_free(buffers->device, buffers->copies[role].memory);
    }
    *buffers = (struct buffers){.device = NULL};
}

struct buffers buffers_part(const struct buffers *buffers, uint64_t first, uint64_t count)
{
    struct buffers part = *buffers;

    part.borrowed = true;
    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        if (part.copies[role].memory != NULL) {
            part.copies[role].memory = copy_at(&buffers->copies[role], (unsigned)first);
            part.copies[role].count = count;
        }
    }
    return part;
}

enum qb_status buffers_poison(const struct buffers *buffers, const struct qb_problem *problem)
{
    enum qb_status status = QB_OK;

    for (int role = 0; role < QB_ROLE_COUNT && status == QB_OK; role++) {
        const struct copies *copies = &buffers->copies[role];
        struct qb_tensor_info tensor = {.size = sizeof tensor};

        status = qb_problem_tensor(problem, (enum qb_role)role, &tensor);
        if (status == QB_OK && tensor.written) {
            status = qb_memory_fill(buffers->device, copies->memory, VERIFY_POISON, copies->count * copies->stride);
        }
    }
    return status;
}

bool buffers_inject(const struct buffers *buffers, enum qb_role role, unsigned set)
{
    const uint64_t bytes = buffers->bytes.of[role];
    char *const middle = (char *)copy_at(&buffers->copies[role], set) + bytes / 2;
    uint8_t byte;

    if (bytes == 0 || !inject_wrong() || qb_memory_read(buffers->device, &byte, middle, 1) != QB_OK) {
        return false;
    }
    byte ^= 1;
    return qb_memory_write(buffers->device, middle, &byte, 1) == QB_OK;
}

struct qb_tensors buffers_set(const struct buffers *buffers, unsigned set)
{
    struct qb_tensors tensors = {.size = sizeof tensors};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        tensors.at[role] = buffers->bytes.of[role] > 0 ? copy_at(&buffers->copies[role], set) : NULL;
    }
    return tensors;
}
