/* SPDX-License-Identifier: Apache-2.0 */
/* check_program.c - another program is run on a text: what it writes is taken, and no program outlives its time. */
#include <config.h>

#include "base/memory_stream.h"
#include "base/program.h"
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "quantbench-program.XXXXXX";
static char file[64], old_path[4096];

/* Every run is of the program "drawer", which is a script. */
static struct program drawer = {
    .name = "drawer", .option = "-d", .text = "text", .length = 4, .hidden = "HIDDEN", .seconds = 60, .most = 1 << 20};
static struct program_output output;

static void make_folder(void)
{
    char here[2048], path[sizeof here + sizeof old_path + 64];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(file, sizeof file, "%s/drawer", folder);
    snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    snprintf(path, sizeof path, "%s/%s:%s", here, folder, old_path);
    setenv("PATH", path, 1);
    setenv("HIDDEN", "1", 1);
    setenv("LC_ALL", "C", 1);
}

static void remove_folder(void)
{
    free(output.bytes);
    unlink(file);
    rmdir(folder);
    setenv("PATH", old_path, 1);
    memcpy(strrchr(folder, '.'), ".XXXXXX", 7);
}

/* Run "drawer", whose lines are SCRIPT. */
static bool draws(const char *script)
{
    FILE *stream = fopen(file, "w");

    ck_assert_ptr_nonnull(stream);
    fprintf(stream, "#!/bin/sh\n%s\n", script);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_int_eq(chmod(file, 0755), 0);
    free(output.bytes);
    return program_run(&drawer, &output);
}

static bool wrote(const char *text)
{
    return output.length == strlen(text) && memcmp(output.bytes, text, output.length) == 0;
}

START_TEST(program_reads_its_text)
{
    ck_assert(draws("echo \"$1\"; cat \"$2\""));
    ck_assert(wrote("-d\ntext"));
    ck_assert_str_eq(output.message, "");
}
END_TEST

START_TEST(program_has_an_empty_input)
{
    ck_assert(draws("cat"));
    ck_assert(wrote(""));
}
END_TEST

START_TEST(program_has_a_clean_environment)
{
    ck_assert(draws("echo \"$LC_ALL,$HIDDEN\""));
    ck_assert(wrote("C.UTF-8,\n"));
}
END_TEST

START_TEST(program_that_fails_says_why)
{
    ck_assert(!draws("echo half; echo 'line  1:' >&2; echo ' bad' >&2; exit 7"));
    ck_assert_str_eq(output.problem, "exit status 7");
    ck_assert_str_eq(output.message, "line 1: bad ");
    ck_assert(!draws("kill -SEGV $$"));
    ck_assert_str_eq(output.problem, "ended by signal 11");
}
END_TEST

START_TEST(program_that_is_missing_is_an_error)
{
    ck_assert(!program_exists("drawer"));
    ck_assert(!program_run(&drawer, &output));
    ck_assert_str_eq(output.problem, strerror(ENOENT));
    ck_assert(program_exists("sh"));
    /* A folder, and a file that is not a program, are not programs. */
    ck_assert_int_eq(mkdir(file, 0755), 0);
    ck_assert(!program_exists("drawer"));
    ck_assert_int_eq(rmdir(file), 0);
    ck_assert_int_eq(fclose(fopen(file, "w")), 0);
    ck_assert(!program_exists("drawer"));
}
END_TEST

START_TEST(program_that_hangs_is_ended)
{
    drawer.seconds = 0.2;
    ck_assert(!draws("while :; do sleep 100; done"));
    ck_assert_str_eq(output.problem, "took too long");
    /* Both outputs are closed, and it goes on. */
    ck_assert(!draws("exec >&- 2>&-; while :; do sleep 100; done"));
    ck_assert_str_eq(output.problem, "took too long");
    drawer.seconds = 60;
}
END_TEST

/* What holds the other end of a pipe has ended when that has an end. */
START_TEST(program_leaves_no_process)
{
    char pipe[64], script[256], byte;
    int reader;

    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    snprintf(script, sizeof script, "sleep 1000 >%s 2>&1 &\necho done", pipe);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    reader = open(pipe, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(reader, 0);
    ck_assert(draws(script));
    ck_assert(wrote("done\n"));
    ck_assert_int_eq(fcntl(reader, F_SETFL, 0), 0);
    ck_assert_int_eq(read(reader, &byte, 1), 0);
    close(reader);
    unlink(pipe);
}
END_TEST

START_TEST(program_that_writes_too_much_is_ended)
{
    ck_assert(draws("head -c 1048576 /dev/zero"));
    ck_assert_uint_eq(output.length, 1048576);
    ck_assert(!draws("cat /dev/zero"));
    ck_assert_str_eq(output.problem, "wrote too much");
}
END_TEST

START_TEST(memory_stream_keeps_what_is_written)
{
    struct memory_stream memory;

    ck_assert(memory_stream_open(&memory));
    for (int i = 0; i < 100000; i++) {
        fputs("x", memory.stream);
    }
    ck_assert(memory_stream_close(&memory));
    ck_assert_uint_eq(memory.length, 100000);
    ck_assert_uint_eq(strlen(memory.bytes), 100000);
    memory_stream_free(&memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("program");
    TCase *cases = patient_case("program");

    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, program_reads_its_text);
    tcase_add_test(cases, program_has_an_empty_input);
    tcase_add_test(cases, program_has_a_clean_environment);
    tcase_add_test(cases, program_that_fails_says_why);
    tcase_add_test(cases, program_that_is_missing_is_an_error);
    tcase_add_test(cases, program_that_hangs_is_ended);
    tcase_add_test(cases, program_leaves_no_process);
    tcase_add_test(cases, program_that_writes_too_much_is_ended);
    tcase_add_test(cases, memory_stream_keeps_what_is_written);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
