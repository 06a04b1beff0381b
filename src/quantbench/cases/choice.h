/* SPDX-License-Identifier: Apache-2.0 */
/* choice.h - combinations of lists of values as one index. A list of an option that was not given is empty. */
#ifndef CHOICE_H
#define CHOICE_H

#include "model/settings.h"

/* The choices that a list of COUNT values gives: without a value, the default. */
static inline size_t choice_count(size_t count)
{
    return count > 0 ? count : 1;
}

/* Split the index of a value of COUNT from *INDEX, the last option first. */
static inline size_t choice_take(size_t *index, size_t count)
{
    const size_t taken = *index % choice_count(count);

    *index /= choice_count(count);
    return taken;
}

/* The value of NUMBERS at INDEX, or FALLBACK if the option was not given. */
static inline int choice_at(const struct numbers *numbers, size_t index, int fallback)
{
    return numbers->count > 0 ? (int)numbers->values[index] : fallback;
}

#endif
