/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - see cache.h. */
#include <config.h>

#include "check/cache.h"
#include "check/scales.h"
#include "model/operation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool cache_has(const struct qb_problem *p, enum qb_role role)
{
    return operation_has_cache(p->operation) &&
           (role == QB_ROLE_CODES || (role == QB_ROLE_SCALES && p->scaling == QB_SCALING_DYNAMIC));
}

/* The columns of scales that P has. */
static uint64_t scale_cols(const struct qb_problem *p)
{
    uint64_t rows, cols;

    qb_problem_scale_shape(p, &rows, &cols);
    return cols;
}

/* The heads of a token's keys. */
static uint64_t heads_of(const struct qb_problem *p)
{
    return p->head_size > 0 ? p->hidden / 2 / p->head_size : 1;
}

/* The bytes that a token has in the tensor of ROLE. */
static uint64_t token_bytes(const struct qb_problem *p, enum qb_role role)
{
    return role == QB_ROLE_CODES ? codes_used_bytes(p) : scale_cols(p) * scales_element_size(p);
}

/* True if the heads of a token do not lie side by side in the tensor of ROLE: scales in binary32 always do. */
static bool heads_apart(const struct qb_problem *p, enum qb_role role)
{
    return p->page_layout == QB_PAGE_LAYOUT_HND && (role == QB_ROLE_CODES || p->scale_format != QB_FORMAT_F32);
}

uint64_t cache_offset(const struct qb_problem *p, const int64_t *slots, enum qb_role role, uint64_t token, uint64_t col)
{
    const uint64_t slot = (uint64_t)slots[token];
    uint64_t offset = 0;

    if (role == QB_ROLE_CODES) {
        qb_problem_code_offset(p, slot, col, &offset);
    } else {
        qb_problem_scale_offset(p, slot, col, &offset);
    }
    return offset;
}

/* The bytes that lie side by side in the tensor of ROLE and in rows of tokens. */
struct run {
    uint64_t in_cache, in_rows, length;
};

/* What is done with each. */
struct use {
    void (*run)(const struct use *use, struct run run);
    uint8_t *cache, *rows;
    uint8_t blank;
};

/* Call USE for all runs of all tokens that are not left out. */
static void for_runs(const struct qb_problem *p, const int64_t *slots, enum qb_role role, const struct use *use)
{
    const uint64_t cols = role == QB_ROLE_CODES ? p->hidden : scale_cols(p), bytes = token_bytes(p, role);
    const uint64_t count = heads_apart(p, role) ? 2 * heads_of(p) : 2, length = bytes / count;

    for (uint64_t token = 0; token < p->tokens; token++) {
        for (uint64_t i = 0; i < count && slots[token] >= 0; i++) {
            use->run(use, (struct run){cache_offset(p, slots, role, token, i * (cols / count)),
                                       token * bytes + i * length, length});
        }
    }
}

static void put_run(const struct use *use, struct run run)
{
    memcpy(use->cache + run.in_cache, use->rows + run.in_rows, run.length);
}

void cache_put(const struct qb_problem *problem, const int64_t *slots, enum qb_role role, const void *rows, void *cache)
{
    const struct use use = {.run = put_run, .cache = cache, .rows = (uint8_t *)(uintptr_t)rows};

    for_runs(problem, slots, role, &use);
}

static void take_run(const struct use *use, struct run run)
{
    memcpy(use->rows + run.in_rows, use->cache + run.in_cache, run.length);
    memset(use->cache + run.in_cache, use->blank, run.length);
}

void cache_take(const struct qb_problem *problem, const int64_t *slots, enum qb_role role, void *cache, uint8_t blank,
                void *rows)
{
    const struct use use = {.run = take_run, .cache = cache, .rows = rows, .blank = blank};

    for_runs(problem, slots, role, &use);
}

const char *cache_text(const struct qb_problem *p, enum qb_role role, uint64_t offset, char text[CACHE_TEXT_SIZE])
{
    const uint64_t slots = p->pages * p->page_size, bytes = token_bytes(p, role) / 2;
    const uint64_t in_half = offset % (slots * bytes), page = in_half / (p->page_size * bytes);
    uint64_t slot = in_half / bytes;

    if (heads_apart(p, role)) {
        slot = page * p->page_size + in_half / (bytes / heads_of(p)) % p->page_size;
    }
    snprintf(text, CACHE_TEXT_SIZE, "%s of slot %" PRIu64 " (page %" PRIu64 "), %s byte %" PRIu64,
             offset < slots * bytes ? "the keys" : "the values", slot, page, qb_role_name(role), offset);
    return text;
}
