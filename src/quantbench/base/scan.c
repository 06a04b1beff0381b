/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - see scan.h. */
#include <config.h>

#include "base/scan.h"

#include <stdlib.h>
#include <string.h>

/* Longer numbers are in no record. */
#define NUMBER_MAX 63

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at)) {
        at++;
    }
    return at;
}

/* Where the string that begins AT is over; NULL if it has no end. */
static const char *skip_string(const char *at, const char *end)
{
    for (const char *quote = at + 1; (quote = memchr(quote, '"', (size_t)(end - quote))) != NULL; quote++) {
        const char *slash = quote;

        while (slash[-1] == '\\') {
            slash--; /* the first quotation mark ends this at the latest */
        }
        if ((quote - slash) % 2 == 0) {
            return quote + 1;
        }
    }
    return NULL;
}

/* What a character is to whoever passes over values. */
enum class { INSIDE, QUOTE, OPENING, CLOSING, SPACE, SEPARATOR };
static const unsigned char classes[256] = {
    ['"'] = QUOTE,  ['{'] = OPENING, ['['] = OPENING, ['}'] = CLOSING,   [']'] = CLOSING,   [' '] = SPACE,
    ['\n'] = SPACE, ['\r'] = SPACE,  ['\t'] = SPACE,  [','] = SEPARATOR, [':'] = SEPARATOR,
};

/* Where the next quotation mark or bracket is. Most of a record is the white space before its lines. */
static const char *find_mark(const char *at, const char *end)
{
    static const char spaces[] = "        ";

    for (; at < end; at++) {
        const unsigned char c = classes[(unsigned char)*at];

        if (c >= QUOTE && c <= CLOSING) {
            return at;
        }
        while (*at == ' ' && end - at > 8 && memcmp(at, spaces, 8) == 0) {
            at += 8;
        }
        if (classes[(unsigned char)*at] >= QUOTE && classes[(unsigned char)*at] <= CLOSING) {
            return at;
        }
    }
    return NULL;
}

/* The same of an object or an array. */
static const char *skip_container(const char *at, const char *end)
{
    size_t depth = 0;

    while ((at = find_mark(at, end)) != NULL) {
        const unsigned char mark = classes[(unsigned char)*at];

        at = mark == QUOTE ? skip_string(at, end) : at + 1;
        depth += mark == OPENING;
        depth -= mark == CLOSING;
        if (at == NULL || depth == 0) {
            return at;
        }
    }
    return NULL;
}

static const char *skip_word(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && classes[(unsigned char)*at] == INSIDE) {
        at++;
    }
    return at > start ? at : NULL;
}

bool scan_value(struct span *rest, struct span *value)
{
    const char *at = skip_space(rest->at, rest->end), *after;

    if (at == NULL || at == rest->end) {
        return false;
    }
    after = *at == '"'                 ? skip_string(at, rest->end)
            : *at == '{' || *at == '[' ? skip_container(at, rest->end)
                                       : skip_word(at, rest->end);
    if (after == NULL) {
        return false;
    }
    *value = (struct span){at, after};
    rest->at = after;
    return true;
}

bool scan_is_empty(struct span rest)
{
    return skip_space(rest.at, rest.end) == rest.end;
}

/* Pass over the bracket OPEN of a container, or over the comma before its next part. Returns false at its end. */
static bool enter(struct span *rest, char open, char close)
{
    const char *at = skip_space(rest->at, rest->end);

    if (at == NULL || at == rest->end || (*at != open && *at != ',')) {
        return false;
    }
    at = skip_space(at + 1, rest->end);
    if (at == rest->end || *at == close) {
        return false;
    }
    rest->at = at;
    return true;
}

bool scan_member(struct span *rest, struct span *name, struct span *value)
{
    if (!enter(rest, '{', '}') || !scan_value(rest, name) || *name->at != '"') {
        return false;
    }
    rest->at = skip_space(rest->at, rest->end);
    if (rest->at == rest->end || *rest->at++ != ':') {
        return false;
    }
    return scan_value(rest, value);
}

bool scan_element(struct span *rest, struct span *element)
{
    return enter(rest, '[', ']') && scan_value(rest, element);
}

bool scan_object(struct span object, const char *const *names, size_t count, struct span *values)
{
    struct span rest = object, name, value;
    size_t expected = 0;

    for (size_t i = 0; i < count; i++) {
        values[i] = (struct span){NULL, NULL};
    }
    if (object.at == NULL || *object.at != '{') {
        return false;
    }
    while (scan_member(&rest, &name, &value)) {
        const size_t length = (size_t)(name.end - name.at) - 2;

        for (size_t i = 0; i < count; i++) {
            const size_t index = (expected + i) % count;

            if (strncmp(names[index], name.at + 1, length) == 0 && names[index][length] == '\0') {
                values[index] = value;
                expected = index + 1;
                break;
            }
        }
    }
    rest.at = skip_space(rest.at, rest.end);
    return rest.end - rest.at == 1 || (rest.at < rest.end && *rest.at == '{'); /* "}", or an object without members */
}

bool scan_number(struct span value, double *number)
{
    const size_t length = (size_t)(value.end - value.at);
    char text[NUMBER_MAX + 1], *end;
    double parsed;

    if (value.at == NULL || length > NUMBER_MAX || strchr("-0123456789", *value.at) == NULL) {
        return false;
    }
    memcpy(text, value.at, length);
    text[length] = '\0';
    parsed = strtod(text, &end);
    if (*end != '\0' || !(parsed - parsed == 0)) {
        return false;
    }
    *number = parsed;
    return true;
}

/* The character of the escape at AT, after its backslash; *LENGTH is set to the length of the escape. */
static char unescape(const char *at, const char *end, size_t *length)
{
    static const char letters[] = "bfnrt\"\\/", meant[] = "?????\"\\/";
    const char *letter = strchr(letters, *at);

    *length = *at == 'u' && end - at > 5 ? 5 : 1;
    return *at != '\0' && letter != NULL ? meant[letter - letters] : '?';
}

bool scan_string(struct span value, char *text, size_t size)
{
    size_t used = 0;

    if (value.at == NULL || *value.at != '"') {
        return false;
    }
    for (const char *at = value.at + 1; at < value.end - 1 && used + 1 < size;) {
        size_t length = 1;
        char c = *at;

        if (c == '\\') {
            at++;
            c = unescape(at, value.end, &length);
        }
        text[used++] = (unsigned char)c < ' ' || c == 0x7F ? '?' : c;
        at += length;
    }
    text[used] = '\0';
    return true;
}

bool scan_is(struct span value, const char *word)
{
    const size_t length = strlen(word);

    return value.at != NULL && (size_t)(value.end - value.at) == length && memcmp(value.at, word, length) == 0;
}

uint64_t scan_digest(struct span value, uint64_t seed)
{
    uint64_t digest = seed ^ 0xCBF29CE484222325u; /* FNV-1a */
    bool inside = false;

    for (const char *at = value.at; at != NULL && at < value.end; at++) {
        if (*at == '"' && (at == value.at || at[-1] != '\\')) {
            inside = !inside;
        }
        if (inside || !is_space(*at)) {
            digest = (digest ^ (unsigned char)*at) * 0x100000001B3u;
        }
    }
    return digest;
}
