/* SPDX-License-Identifier: Apache-2.0 */
/* picture_text.c - the texts of pictures. Names come from files of others: they stand in single quotes, in which
 * gnuplot neither runs nor replaces anything, and never in data. */
#include <config.h>

#include "base/utf8.h"
#include "report/picture.h"

#include <stdlib.h>
#include <string.h>

/* Characters in a line of a title, which is centered above the axes: beside rows there are labels. */
#define TITLE_LINE       110
#define TITLE_LINE_ROWS  84
#define TITLE_LINE_PLAIN 70
#define TITLE_LINES      3

/* What a character is replaced by that a picture cannot show. */
#define UNKNOWN '?'

/* Write the character at TEXT in single quotes, and return its length. FORMAT: a percent sign stands for a number. */
static size_t quote_one(const char *text, bool ends_cdata, bool format, FILE *stream)
{
    uint32_t letter;
    const size_t length = utf8_decode(text, &letter);

    if (length == 0) {
        putc(UNKNOWN, stream);
        return 1;
    }
    if (letter < ' ') {
        putc(' ', stream);
    } else if (utf8_is_unseen(letter)) {
        putc(UNKNOWN, stream);
    } else if (letter == '\'') {
        /* Two quotes should stand for one, but gnuplot 5.4 errs where a string begins with them, or has four. */
        fputs("'.\"'\".'", stream);
    } else {
        /* XML reads "]]>" as an end. */
        fputs(ends_cdata ? " " : format && letter == '%' ? "%" : "", stream);
        fwrite(text, 1, length, stream);
    }
    return length;
}

/* Write as many characters of TEXT as a line of MOST has, and return the others. */
static const char *quote_line(const char *text, size_t most, bool format, FILE *stream)
{
    const char *start = text;

    putc('\'', stream);
    for (size_t i = 0; *text != '\0' && i < most; i++) {
        const bool ends_cdata = *text == '>' && text - start >= 2 && strncmp(text - 2, "]]", 2) == 0;

        text += quote_one(text, ends_cdata, format, stream);
    }
    return text;
}

void picture_quote(const char *text, FILE *stream)
{
    fputs(*quote_line(text, PICTURE_LABEL, false, stream) != '\0' ? "...'" : "'", stream);
}

void picture_tic(size_t index, const char *label, FILE *stream)
{
    fputs(index > 0 ? ", " : "", stream);
    fputs(*quote_line(label, PICTURE_LABEL, true, stream) != '\0' ? "...'" : "'", stream);
    fprintf(stream, " %zu", index + 1);
}

void picture_row_tic(struct picture *picture, size_t index, const char *label)
{
    const size_t length = strlen(label) < PICTURE_LABEL ? strlen(label) : PICTURE_LABEL;

    picture->longest = length > picture->longest ? length : picture->longest;
    picture_tic(index, label, picture->stream);
}

void picture_set_text(const struct picture *picture, const char *name, const char *text)
{
    fprintf(picture->stream, "set %s ", name);
    quote_line(text, TITLE_LINE, false, picture->stream);
    /* The key is below the x axis, and would touch it. */
    fputs(!picture->plain && strcmp(name, "xlabel") == 0 ? "' noenhanced offset 0, 0.4\n" : "' noenhanced\n",
          picture->stream);
}

/* Return how many bytes of TEXT a line of MOST takes: it ends after a comma, or after a blank where there is none. */
static size_t line_length(const char *text, size_t most)
{
    size_t comma = 0, blank = 0;

    if (strlen(text) <= most) {
        return strlen(text);
    }
    for (size_t i = 0; i + 1 < most; i++) {
        if (text[i + 1] == ' ') {
            blank = i + 1;
            comma = text[i] == ',' ? i + 1 : comma;
        }
    }
    return comma > 0 ? comma : blank > 0 ? blank : most;
}

/* Return the number of lines of MOST bytes that TEXT takes. */
static size_t count_lines(const char *text, size_t most)
{
    size_t lines = 0;

    while (*text != '\0') {
        text += line_length(text, most);
        text += *text == ' ';
        lines++;
    }
    return lines;
}

/* Return the least number of bytes of a line with which TEXT takes no more lines than with MOST. They are of about the
 * same length then, and no word stands alone in the last one. */
static size_t balance_lines(const char *text, size_t most)
{
    const size_t lines = count_lines(text, most);

    while (lines > 1 && lines <= TITLE_LINES && most > 2 && count_lines(text, most - 1) == lines) {
        most--;
    }
    return most;
}

void picture_set_title(struct picture *picture, const char *head, const char *details, size_t shown, size_t count)
{
    const size_t most = picture->plain ? TITLE_LINE_PLAIN : picture->rows > 0 ? TITLE_LINE_ROWS : TITLE_LINE;
    const size_t balanced = balance_lines(details, most);
    FILE *stream = picture->stream;
    char line[DESCRIBE_SIZE];

    if (shown < count) {
        snprintf(line, sizeof line, "%s (the first %zu of %zu)", head, shown, count);
    } else {
        snprintf(line, sizeof line, "%s", head);
    }
    fputs("set title ", stream);
    quote_line(line, most, false, stream);
    putc('\'', stream);
    for (size_t i = 0; i < TITLE_LINES && *details != '\0'; i++) {
        const size_t length = line_length(details, balanced);

        snprintf(line, sizeof line, "%.*s", (int)length, details);
        fputs(".\"\\n\".", stream);
        quote_line(line, most, false, stream);
        details += length;
        details += *details == ' ';
        fputs(*details != '\0' && i + 1 == TITLE_LINES ? "...'" : "'", stream);
    }
    fputs(" noenhanced\n", stream);
}

const char *picture_common(const struct record *record, char text[DESCRIBE_SIZE])
{
    char common[DESCRIBE_SIZE];
    size_t length = 0;

    text[0] = '\0';
    if (!record->rated_only) {
        for (size_t i = 0; i < record->device_count && length < DESCRIBE_SIZE; i++) {
            length += (size_t)snprintf(text + length, DESCRIBE_SIZE - length, "%s%.160s", i > 0 ? ", " : "",
                                       record->devices[i].name);
        }
    }
    describe_common(record, common);
    if (length < DESCRIBE_SIZE && common[0] != '\0') {
        snprintf(text + length, DESCRIBE_SIZE - length, "%s%.800s", length > 0 ? ", " : "", common);
    }
    return text;
}

/* True if PROPERTY is a number that means nothing without its name. */
static bool is_bare_number(enum property property)
{
    return describe_is_number((enum column)property) ||
           (property >= PROPERTY_HEAD_SIZE && property < PROPERTY_PAGE_LAYOUT) || property == PROPERTY_GATE_LIMIT ||
           property == PROPERTY_EXPERTS || property == PROPERTY_EXPERT_TOKENS || property == PROPERTY_ALPHA ||
           property == PROPERTY_UP_OFFSET || property == PROPERTY_EPSILON;
}

const char *picture_label(const struct record *record, const struct record_case *c, enum property axis,
                          char label[DESCRIBE_SIZE])
{
    char text[DESCRIBE_SIZE];
    size_t length = 0;

    label[0] = '\0';
    for (enum property p = 0; p < PROPERTIES; p++) {
        /* Along an axis of sizes the cache may be cold for some and partly so for others. */
        const bool varies = axis != PROPERTIES && p == PROPERTY_CACHE ? false : describe_varies(record, (enum column)p);

        if (p != axis && property_applies(&c->problem, p) && varies && length < DESCRIBE_SIZE) {
            length += (size_t)snprintf(label + length, DESCRIBE_SIZE - length, "%s%s%s%.160s", length > 0 ? ", " : "",
                                       is_bare_number(p) ? property_name(p) : "", is_bare_number(p) ? " " : "",
                                       property_text(c, p, text));
        }
    }
    if (label[0] == '\0') {
        snprintf(label, DESCRIBE_SIZE, "%.160s", c->kernel);
    }
    return label;
}

uint64_t picture_size(const struct qb_problem *problem, enum property axis)
{
    return axis == PROPERTY_TOKENS ? problem->tokens : problem->hidden;
}

static int compare_sizes(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

size_t picture_sort_sizes(uint64_t *sizes, size_t count)
{
    size_t kept = 0;

    qsort(sizes, count, sizeof *sizes, compare_sizes);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || sizes[kept - 1] != sizes[i]) {
            sizes[kept++] = sizes[i];
        }
    }
    return kept;
}

const char *picture_color(size_t index)
{
    /* Those of Okabe and Ito, which people tell apart who see few. */
    static const char *const colors[] = {"'#0072b2'", "'#d55e00'", "'#009e73'", "'#cc79a7'",
                                         "'#e69f00'", "'#56b4e9'", "'#000000'"};

    return colors[index % (sizeof colors / sizeof colors[0])];
}

int picture_shape(size_t index)
{
    static const int shapes[] = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10};

    return shapes[index % (sizeof shapes / sizeof shapes[0])];
}
