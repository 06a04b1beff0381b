/* SPDX-License-Identifier: Apache-2.0 */
/* pages.cuh - where the codes of a token are in the pages of a cache. */
#ifndef QB_CUDA_PAGES_CUH
#define QB_CUDA_PAGES_CUH

#include "device.cuh"

/* The pages of a cache, in units of as many elements as a thread has side by side; heads are whole units. */
struct qb__pages {
    uint64_t slots;
    uint32_t half, page_size, head; /* units of a token's keys; slots of a page; units of a head */
    uint64_t heads, head_step;      /* head_step: units from a head to the next in a page of HND */
    bool nhd;
    qb__fastdiv by_row, by_head, by_page; /* by_row: units of a token */
};

/* True if CALL's units, of UNIT elements, can be counted in 32 bits. Heads are whole units. */
static inline bool qb__has_pages(const struct qb__cuda_call *call, unsigned unit)
{
    const struct qb_problem *p = call->problem;

    return p->pages * p->page_size < 0x70000000u && call->rows < 0x70000000u && call->cols < 0x70000000u &&
           call->rows * (call->cols / unit) < 0x70000000u;
}

/* To divide by NUMBER. One that does not fit in 32 bits is not used. */
static inline qb__fastdiv qb__pages_divisor(uint64_t number)
{
    return qb__make_fastdiv((uint32_t)number > 0 ? (uint32_t)number : 1);
}

static inline qb__pages qb__pages_of(const struct qb__cuda_call *call, unsigned unit)
{
    const struct qb_problem *p = call->problem;
    qb__pages a = {};

    a.slots = p->pages * p->page_size;
    a.half = (uint32_t)(p->hidden / 2 / unit);
    a.page_size = (uint32_t)p->page_size;
    a.head = (uint32_t)(qb__head_size(p) / unit);
    a.heads = p->hidden / 2 / qb__head_size(p);
    a.head_step = p->page_size * a.head;
    a.nhd = p->page_layout == QB_PAGE_LAYOUT_NHD;
    a.by_row = qb__pages_divisor(2 * (uint64_t)a.half);
    a.by_head = qb__pages_divisor(a.head);
    a.by_page = qb__pages_divisor(a.page_size);
    return a;
}

/* True if there is such a slot. */
__device__ __forceinline__ bool qb__is_slot(uint64_t slots, int64_t slot)
{
    return (uint64_t)slot < slots;
}

/* The units from the start of the cache to the first of the keys in SLOT, which there is. */
__device__ __forceinline__ uint64_t qb__place_of_slot(const qb__pages &a, uint32_t slot)
{
    if (a.nhd) {
        return (uint64_t)slot * a.half;
    }
    const uint32_t page = qb__divide(slot, a.by_page);
    return page * a.heads * a.head_step + (uint64_t)(slot - page * a.page_size) * a.head;
}

/* Those to unit COL of the token there. */
__device__ __forceinline__ uint64_t qb__place_from(const qb__pages &a, uint64_t at, uint32_t col)
{
    const uint32_t side = col >= a.half;

    at += side * a.slots * a.half;
    col -= side * a.half;
    if (a.nhd) {
        return at + col;
    }
    const uint32_t head = qb__divide(col, a.by_head);
    return at + head * a.head_step + (col - head * a.head);
}

__device__ __forceinline__ uint64_t qb__place_in_pages(const qb__pages &a, uint32_t slot, uint32_t col)
{
    return qb__place_from(a, qb__place_of_slot(a, slot), col);
}

/* The same of any cache, whose sizes need not fit in 32 bits. */
struct qb__any_pages {
    uint64_t slots, half, heads, head, page; /* half, head: units; page: slots of a page */
    bool nhd;
};

static inline qb__any_pages qb__any_pages_of(const struct qb__cuda_call *call, unsigned unit)
{
    const struct qb_problem *p = call->problem;

    return {p->pages * p->page_size, p->hidden / 2 / unit, p->hidden / 2 / qb__head_size(p),
            qb__head_size(p) / unit, p->page_size,         p->page_layout == QB_PAGE_LAYOUT_NHD};
}

__device__ __forceinline__ uint64_t qb__place_in_any_pages(const qb__any_pages &a, uint64_t slot, uint64_t col)
{
    const uint64_t side = col >= a.half ? a.slots * a.half : 0;

    col = col >= a.half ? col - a.half : col;
    return a.nhd ? side + slot * a.half + col
                 : side + ((slot / a.page * a.heads + col / a.head) * a.page + slot % a.page) * a.head + col % a.head;
}

#endif
