/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - finds values in JSON texts without making a tree of them: what is not asked for is passed over, and only the
 * brackets and quotation marks of it are looked at. For thousands of records, of each of which little is read. */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a text; AT is NULL if there is none. */
struct span {
    const char *at, *end;
};

/* Take the next value off REST, which may begin with white space. Returns false if there is none, or it has no end. */
bool scan_value(struct span *rest, struct span *value);

/* True if nothing but white space is in REST. */
bool scan_is_empty(struct span rest);

/* Find the members NAMES of OBJECT, COUNT of them, and set VALUES to what they are; a member that is missing is none.
 * It is fastest in the order of the text. Returns false if OBJECT is not a whole object. */
bool scan_object(struct span object, const char *const *names, size_t count, struct span *values);

/* Take the next member off an object, or the next element off an array. REST is first the whole container, and then
 * what is left of it. Returns false after the last one. */
bool scan_member(struct span *rest, struct span *name, struct span *value);
bool scan_element(struct span *rest, struct span *element);

/* Set NUMBER to what VALUE is; TEXT to the string that it is, cut to SIZE - 1 bytes, with control characters and what
 * is beyond ASCII in \u escapes as '?'. Return false if VALUE is something else. */
bool scan_number(struct span value, double *number);
bool scan_string(struct span value, char *text, size_t size);

/* True if VALUE is WORD, such as null, as it stands in the text. */
bool scan_is(struct span value, const char *word);

/* A number that stands for VALUE, whatever white space is in it. */
uint64_t scan_digest(struct span value, uint64_t seed);

#endif
