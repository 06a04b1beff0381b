/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - runs a fuzz harness without libFuzzer: over the files of its kept corpus, and over mutations of them,
 * which are the same ones each time. Its lines are TAP.
 *
 * usage: fuzz_NAME.test [FILE]...    FILEs take the place of the corpus, and there are no mutations
 *
 * FUZZ_RUNS is the number of mutations, FUZZ_SEED begins other ones. An input that ends the program is left in
 * fuzz_NAME.crash. */
#include <config.h>

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_RUNS 20000
/* Seconds: enough for those who wait. What is left of the runs then is not made. */
#define MUTATION_TIME 5
/* Seconds, for one input: it hangs. Fuzzed inputs take milliseconds. */
#define HANG_TIME 120
#define INPUT_MAX 65536

struct input {
    uint8_t *data;
    size_t size;
};

static struct {
    struct input *inputs;
    size_t count;
} corpus;

/* What runs now, for the handler of signals. */
static struct input current;
static char crash_file[4096];
static int messages; /* standard error, which is silent while a harness runs */

static void say(const char *text)
{
    if (write(messages, text, strlen(text)) < 0) {
        _exit(99);
    }
}

/* Keep the input that ends the program. */
static void handle_end(int number)
{
    int file = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (file >= 0 && write(file, current.data, current.size) == (ssize_t)current.size) {
        say("# the input that ended the program is kept in ");
        say(crash_file);
        say("\n");
    }
    say(number == SIGALRM ? "Bail out! an input takes longer than 120 s\n" : "Bail out! an input ends the program\n");
    signal(number, SIG_DFL);
    raise(number);
}

static void install_handlers(void)
{
    static const int signals[] = {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    struct sigaction action = {.sa_handler = handle_end};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

static void run(struct input input)
{
    current = input;
    alarm(HANG_TIME);
    LLVMFuzzerTestOneInput(input.data, input.size);
    alarm(0);
}

/* ---- The corpus ----------------------------------------------------------------------------------------------------
 */

static void read_input(const char *path)
{
    FILE *file = fopen(path, "r");
    struct input *larger = reallocarray(corpus.inputs, corpus.count + 1, sizeof *larger);
    struct input input = {.data = malloc(INPUT_MAX)};

    if (file == NULL || larger == NULL || input.data == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(99);
    }
    corpus.inputs = larger;
    input.size = fread(input.data, 1, INPUT_MAX, file);
    fclose(file);
    corpus.inputs[corpus.count++] = input;
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void read_folder(const char *folder)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, compare_names);

    for (int i = 0; i < count; i++) {
        char *path = NULL;

        if (names[i]->d_name[0] != '.' && asprintf(&path, "%s/%s", folder, names[i]->d_name) > 0) {
            read_input(path);
        }
        free(path);
        free(names[i]);
    }
    free(names);
}

/* ---- Mutations -----------------------------------------------------------------------------------------------------
 */

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit > 0 ? (random_state >> 16) % limit : 0;
}

/* Put SIZE bytes of TEXT in the place of COUNT at PLACE, as far as there is room. */
static void replace(struct input *input, size_t place, size_t count, const void *text, size_t size)
{
    if (input->size - count + size > INPUT_MAX) {
        return;
    }
    memmove(input->data + place + size, input->data + place + count, input->size - place - count);
    memcpy(input->data + place, text, size);
    input->size += size - count;
}

/* Words of JSON, of Python's dictionaries and of options, with values that are often forgotten. */
static void put_word(struct input *input)
{
    static const char *const words[] = {
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "-0.0",
        "1e-320",
        "18446744073709551615",
        "9223372036854775807",
        "[]",
        "{}",
        "\"\"",
        "\"",
        "\\u0000",
        "\\ud800",
        "\n",
        "--",
        "=",
        ",",
        ":",
        "(",
        ")",
        "[[[",
        "0x",
        "inf",
        "nan",
        "'<f2'",
        "True",
        "\xff",
        "\x1b",
    };
    const char *word = words[random_below(sizeof words / sizeof words[0])];
    size_t place = random_below(input->size + 1);
    size_t count = 0;

    /* Half of the time the word takes the place of a number. */
    while (random_below(2) == 0 && place + count < input->size && strchr("0123456789.", input->data[place + count])) {
        count++;
    }
    replace(input, place, count, word, strlen(word));
}

static void mutate_once(struct input *input)
{
    size_t place = random_below(input->size), count = random_below(input->size - place < 64 ? input->size - place : 64);
    const struct input *other = &corpus.inputs[random_below(corpus.count)];
    uint8_t byte = (uint8_t)random_below(256);

    switch (input->size == 0 ? 5 : random_below(7)) {
    case 0:
        input->data[place] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1:
        input->data[place] = byte;
        break;
    case 2:
        replace(input, place, count, "", 0);
        break;
    case 3:
        replace(input, place, 0, &byte, 1);
        break;
    case 4:
        /* What follows is of another input. */
        input->size = place;
        place = random_below(other->size);
        replace(input, input->size, 0, other->data + place, other->size - place);
        break;
    default:
        put_word(input);
        break;
    }
}

/* Run mutations of the corpus. Returns their number. */
static size_t run_mutations(size_t wanted)
{
    struct input input = {.data = malloc(INPUT_MAX)};
    time_t start = time(NULL);
    size_t done = 0;

    fuzz_check(input.data != NULL);
    for (; done < wanted && time(NULL) < start + MUTATION_TIME; done++) {
        const struct input *from = &corpus.inputs[random_below(corpus.count)];

        memcpy(input.data, from->data, from->size);
        input.size = from->size;
        for (uint64_t i = 0; i <= random_below(4); i++) {
            mutate_once(&input);
        }
        run(input);
    }
    free(input.data);
    return done;
}

/* ---- The program ---------------------------------------------------------------------------------------------------
 */

static unsigned long long setting(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* Run all inputs with standard error on /dev/null: messages are what they are for. */
static void run_all(bool only_files)
{
    unsigned long long seed = setting("FUZZ_SEED", 1);
    size_t mutations;

    for (size_t i = 0; i < corpus.count; i++) {
        run(corpus.inputs[i]);
    }
    printf("ok 1 - %zu kept inputs\n", corpus.count);
    if (!only_files) {
        random_state = seed * 0x9E3779B97F4A7C15u | 1;
        mutations = run_mutations(setting("FUZZ_RUNS", DEFAULT_RUNS));
        printf("ok 2 - %zu mutations of them\n# FUZZ_SEED=%llu\n", mutations, seed);
    }
}

int main(int argc, char **argv)
{
    const char *folder = getenv("srcdir") != NULL ? getenv("srcdir") : ".";
    char path[4096], name[64];
    const char *base;
    bool only_files = argc > 1;
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);

    /* libtool's wrapper has "lt-" before the name. */
    base = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    base = strstr(base, "fuzz_");
    snprintf(name, sizeof name, "%.40s", base != NULL ? base : "fuzz_");
    name[strcspn(name, ".")] = '\0';
    snprintf(crash_file, sizeof crash_file, "%s.crash", name);
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", folder, name + strlen("fuzz_"));
    messages = dup(STDERR_FILENO);
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        read_input(argv[i]);
    }
    if (!only_files) {
        read_folder(path);
    }
    printf("1..%d\n", only_files ? 1 : 2);
    if (corpus.count == 0) {
        printf("Bail out! %s has no inputs\n", path);
        return 99;
    }
    fflush(stdout);
    install_handlers();
    if (getenv("FUZZ_LOUD") == NULL) {
        dup2(silence, STDERR_FILENO);
    }
    run_all(only_files);
    for (size_t i = 0; i < corpus.count; i++) {
        free(corpus.inputs[i].data);
    }
    free(corpus.inputs);
    return 0;
}
