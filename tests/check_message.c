/* SPDX-License-Identifier: Apache-2.0 */
/* check_message.c - what reaches standard error: the line of progress, on a terminal only, and no control characters
 * of others. Standard error is a pseudo-terminal, or a file. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* posix_openpt() */
#endif
#include <config.h>

#include "base/clock.h"
#include "base/message.h"
#include "base/relay.h"
#include "run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static char written[1024];

/* The clock that says when a whole line is due. */
static double now = 1000;

double clock_seconds(void)
{
    return now;
}

/* What PROGRESS writes to standard error when that is a terminal, or a file. */
static const char *on(bool terminal, void (*progress)(void))
{
    int kept = dup(STDERR_FILENO), reader, writer;
    ssize_t length, more;

    if (terminal) {
        struct termios settings;

        reader = posix_openpt(O_RDWR | O_NOCTTY);
        ck_assert_int_ge(reader, 0);
        ck_assert_int_eq(grantpt(reader), 0);
        ck_assert_int_eq(unlockpt(reader), 0);
        writer = open(ptsname(reader), O_RDWR | O_NOCTTY);
        ck_assert_int_ge(writer, 0);
        ck_assert_int_eq(tcgetattr(writer, &settings), 0);
        settings.c_oflag &= ~(tcflag_t)OPOST;
        ck_assert_int_eq(tcsetattr(writer, TCSANOW, &settings), 0);
    } else {
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        reader = ends[0];
        writer = ends[1];
    }
    ck_assert_int_ge(dup2(writer, STDERR_FILENO), 0);
    progress();
    fputs(".", stderr);
    fflush(stderr);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    /* The full stop is the last that was written. */
    for (length = 0; length == 0 || written[length - 1] != '.'; length += more) {
        more = read(reader, written + length, sizeof written - 1 - (size_t)length);
        ck_assert_int_gt(more, 0);
    }
    written[length] = '\0';
    close(reader);
    close(writer);
    close(kept);
    return written;
}

static void quarter(void)
{
    message_progress_eta("here", 1, 4, 20);
}

static void minutes(void)
{
    message_progress_eta("here", 2, 200, 7.3);
}

static void hours(void)
{
    message_progress_eta("here", 1, 1000, 36);
}

static void nothing_yet(void)
{
    message_progress_eta("here", 0, 4, 20);
}

static void all(void)
{
    message_progress_eta("here", 4, 4, 20);
}

static void then_end(void)
{
    quarter();
    message_progress_end();
}

static void then_note(void)
{
    quarter();
    message_note("a note");
}

static void error_of_another(void)
{
    message_follow_other();
    message_error("wrong");
}

START_TEST(terminal_sees_progress)
{
    ck_assert_str_eq(on(true, quarter), "\r\033[Khere, about 1 min 00 s left.");
    ck_assert_str_eq(on(true, minutes), "\r\033[Khere, about 12 min 03 s left.");
    ck_assert_str_eq(on(true, hours), "\r\033[Khere, about 9 h 59 min left.");
    ck_assert_str_eq(on(true, nothing_yet), "\r\033[Khere.");
    ck_assert_str_eq(on(true, all), "\r\033[Khere.");
}
END_TEST

START_TEST(progress_is_wiped)
{
    ck_assert_str_eq(on(true, then_end), "\r\033[Khere, about 1 min 00 s left\r\033[K.");
    ck_assert_str_eq(on(true, then_note), "\r\033[Khere, about 1 min 00 s left\r\033[Ka note\n.");
}
END_TEST

START_TEST(progress_of_another_is_wiped)
{
    ck_assert_str_eq(on(true, error_of_another), "\r\033[Kquantbench: wrong\n.");
    ck_assert_str_eq(on(false, error_of_another), "quantbench: wrong\n.");
}
END_TEST

START_TEST(others_see_none)
{
    ck_assert_str_eq(on(false, quarter), ".");
    ck_assert_str_eq(on(false, then_end), ".");
    message_init(true, false);
    ck_assert_str_eq(on(true, quarter), ".");
}
END_TEST

/* Calls a second apart, for two minutes and more. */
static void for_long(void)
{
    for (int i = 0; i < 130; i++) {
        message_progress("second %d", i);
        now++;
    }
}

/* Whole lines, and nothing that erases one; none with -q. */
START_TEST(others_see_a_line_at_times)
{
    ck_assert_str_eq(on(false, for_long), "quantbench: progress: second 30\nquantbench: progress: second 60\n"
                                          "quantbench: progress: second 90\nquantbench: progress: second 120\n.");
    message_init(true, false);
    ck_assert_str_eq(on(false, for_long), ".");
}
END_TEST

START_TEST(dumb_terminal_sees_a_line_at_times)
{
    setenv("TERM", "dumb", 1);
    ck_assert_str_eq(on(true, for_long), "quantbench: progress: second 30\nquantbench: progress: second 60\n"
                                         "quantbench: progress: second 90\nquantbench: progress: second 120\n.");
}
END_TEST

/* One visit that takes two minutes. */
static void one_visit(void)
{
    message_heartbeat();
    message_progress("round 1 of 10");
    for (int i = 0; i < 130; i++) {
        message_heartbeat();
        now++;
    }
}

/* A terminal has the line already. */
START_TEST(a_long_visit_has_a_heartbeat)
{
    ck_assert_str_eq(on(false, one_visit), "quantbench: progress: round 1 of 10, for 30 s now\n"
                                           "quantbench: progress: round 1 of 10, for 1 min 00 s now\n"
                                           "quantbench: progress: round 1 of 10, for 1 min 30 s now\n"
                                           "quantbench: progress: round 1 of 10, for 2 min 00 s now\n.");
    ck_assert_str_eq(on(true, one_visit), "\r\033[Kround 1 of 10.");
    message_init(true, false);
    ck_assert_str_eq(on(false, one_visit), ".");
}
END_TEST

static void controls(void)
{
    message_error("kernel %s: %s", "a", "\033[2J\r\n\t\x7f");
    message_progress("%s", "\a");
}

static void letters(void)
{
    message_error("%s", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

/* C1 controls, as UTF-8 and as bytes of another set, a letter of that, and a character that is cut off. */
static void others(void)
{
    message_error("%s", "\xc2\x9b \x9b \xe9 \xc2");
}

static void long_line(void)
{
    message_error("%0900d", 0);
}

START_TEST(controls_are_escaped)
{
    ck_assert_str_eq(on(true, controls), "quantbench: kernel a: \\x1b[2J\\x0d\\x0a\\x09\\x7f\n\r\033[K\\x07.");
    message_progress_end();
    ck_assert_str_eq(on(false, others), "quantbench: \\xc2\\x9b \\x9b \xe9 \\xc2\n.");
}
END_TEST

/* Whoever warns again of the same is not heard, nor one whose numbers alone are others. */
static void warnings(void)
{
    struct relay relay = {.name = "run 1 of 2"};
    static const char first[] = "quantbench: warning: load 1.5\nquantbench: failed\nquantbench: warn";
    static const char rest[] = "ing: own 2\nquantbench: progress: round 1\na note\nwithout an end";

    message_warning("own %d", 1);
    message_warning("own %d", 1);
    relay_take(&relay, first, strlen(first));
    relay_take(&relay, rest, strlen(rest));
    relay_finish(&relay);
    relay.name = "run 2 of 2";
    relay_take(&relay, first, strlen(first));
    relay_take(&relay, rest, strlen(rest));
    relay_finish(&relay);
}

START_TEST(warnings_come_once)
{
    ck_assert_str_eq(on(false, warnings), "quantbench: warning: own 1\n"
                                          "quantbench: warning: run 1 of 2: load 1.5\n"
                                          "quantbench: run 1 of 2: failed\n"
                                          "run 1 of 2: a note\nrun 1 of 2: without an end\n"
                                          "quantbench: run 2 of 2: failed\n"
                                          "run 2 of 2: a note\nrun 2 of 2: without an end\n.");
}
END_TEST

/* Nothing is lost of a line that is longer than the room for it. */
static void long_lines(void)
{
    struct relay relay = {.name = "run 1 of 2"};
    static char text[2 * RELAY_LINE];

    memset(text, 'x', sizeof text);
    relay_take(&relay, text, 100);
    relay_take(&relay, text, sizeof text);
    relay_finish(&relay);
}

START_TEST(long_lines_are_passed_on_in_parts)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO), c;
    size_t count = 0;

    ck_assert(file != NULL && kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    long_lines();
    fflush(stderr);
    ck_assert(dup2(kept, STDERR_FILENO) >= 0);
    rewind(file);
    while ((c = getc(file)) != EOF) {
        count += c == 'x';
    }
    ck_assert_uint_eq(count, 100 + 2 * RELAY_LINE);
    fclose(file);
    close(kept);
}
END_TEST

static void lines(void)
{
    message_error_lines("a:\n  \033b\n  c");
}

START_TEST(lines_stay)
{
    ck_assert_str_eq(on(false, lines), "quantbench: a:\n  \\x1bb\n  c\n.");
}
END_TEST

START_TEST(letters_are_not)
{
    ck_assert_str_eq(on(false, letters), "quantbench: \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n.");
    ck_assert_uint_eq(strlen(on(false, long_line)), strlen("quantbench: ") + 900 + 2);
}
END_TEST

/* Each status against each, in both orders: the one that comes later here wins. */
START_TEST(worse_status_wins)
{
    static const enum exit_code ranking[] = {EXIT_OK,    EXIT_INCONCLUSIVE, EXIT_REGRESSION,
                                             EXIT_USAGE, EXIT_CANNOT_RUN,   EXIT_WRONG_RESULT};

    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            ck_assert_int_eq(message_worse(ranking[i], ranking[j]), ranking[i > j ? i : j]);
        }
    }
}
END_TEST

/* Neither the line nor a sequence that wipes it. */
START_TEST(dumb_terminal_sees_none)
{
    static const char *const names[] = {"dumb", "", NULL};

    if (names[_i] != NULL) {
        setenv("TERM", names[_i], 1);
    } else {
        unsetenv("TERM");
    }
    ck_assert_str_eq(on(true, quarter), ".");
    ck_assert_str_eq(on(true, then_end), ".");
    ck_assert_str_eq(on(true, then_note), "a note\n.");
}
END_TEST

static void use_terminal(void)
{
    setenv("TERM", "xterm", 1);
}

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *tc = patient_case("progress");

    tcase_add_unchecked_fixture(tc, use_terminal, NULL);
    tcase_add_test(tc, terminal_sees_progress);
    tcase_add_test(tc, progress_is_wiped);
    tcase_add_test(tc, progress_of_another_is_wiped);
    tcase_add_test(tc, others_see_none);
    tcase_add_test(tc, others_see_a_line_at_times);
    tcase_add_test(tc, a_long_visit_has_a_heartbeat);
    tcase_add_test(tc, dumb_terminal_sees_a_line_at_times);
    tcase_add_test(tc, controls_are_escaped);
    tcase_add_test(tc, warnings_come_once);
    tcase_add_test(tc, long_lines_are_passed_on_in_parts);
    tcase_add_test(tc, lines_stay);
    tcase_add_test(tc, letters_are_not);
    tcase_add_test(tc, worse_status_wins);
    tcase_add_loop_test(tc, dumb_terminal_sees_none, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
