/* SPDX-License-Identifier: Apache-2.0 */
/* cuda_choices.c - is the kernel that is chosen automatically the fastest one? For sizes from decoding to prefill, all
 * kernels of a CUDA device are timed, half to E4M3, in graphs, in turn, and a choice that loses more than 3 % to
 * another is named.
 *
 * What --tune does for one case at a time, with verification and intervals, this does for hundreds in a minute,
 * to find those that are worth --tune. A choice that seems to lose is measured again, longer, before it is named.
 *
 * usage: cuda_choices [--all], which lists the other sizes too. Exit status 1: some choice loses. */
#include <config.h>

#include "quantbench.h"
#include "model/sizes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inputs and outputs; more than the L2 cache holds. */
#define INPUTS       ((size_t)512 << 20)
#define OUTPUTS      ((size_t)640 << 20)
#define SCALES       ((size_t)64 << 20)
#define KERNELS_MOST 32
#define REPLAYS_MOST 41

#define LOSS 1.03

static struct qb_device *device;
static struct qb_queue *queue;
static struct qb_event *start, *end;
static char *inputs, *outputs, *scales;

/* A kernel, and its launches into a graph. */
struct candidate {
    const struct qb_kernel *kernel;
    struct qb_graph *graph;
    double times[REPLAYS_MOST], median;
};

static void must(enum qb_status status)
{
    if (status != QB_OK) {
        fprintf(stderr, "cuda_choices: %s: %s\n", qb_strerror(status), qb_error_detail());
        exit(EXIT_FAILURE);
    }
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Values of about a normal distribution, in half, 64 MB of them again and again; and scales that suit them. */
static void fill(void)
{
    const size_t piece = (size_t)64 << 20;
    uint16_t *values = malloc(piece);
    float *steps = malloc(SCALES);
    uint64_t state = 1;

    if (!values || !steps) {
        must(QB_ERROR_MEMORY);
    }
    for (size_t i = 0; i < piece / sizeof *values; i++) {
        double sum = -6;

        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(state >> 40) * (3.0 / (1 << 24));
        }
        values[i] = (uint16_t)qb_format_encode(QB_FORMAT_F16, (float)sum);
    }
    for (size_t i = 0; i < SCALES / sizeof *steps; i++) {
        steps[i] = 6 / 448.0f;
    }
    for (size_t at = 0; at < INPUTS; at += piece) {
        must(qb_memory_write(device, inputs + at, values, piece));
    }
    must(qb_memory_write(device, scales, steps, SCALES));
    free(values);
    free(steps);
}

static size_t rounded(uint64_t bytes)
{
    return (size_t)((bytes + 255) / 256 * 256);
}

/* Launches of KERNEL for PROBLEM, each with tensors of its own. LAUNCHES is how many. */
static struct qb_graph *captured(const struct qb_kernel *kernel, const struct qb_problem *problem, size_t *launches)
{
    const struct sizes sizes = sizes_of(problem);
    const size_t in = rounded(sizes.of[QB_ROLE_INPUT]), out = rounded(sizes.of[QB_ROLE_CODES]);
    const size_t steps = rounded(sizes.of[QB_ROLE_SCALES]);
    size_t sets = ((size_t)160 << 20) / (in + out) + 2;
    struct qb_graph *graph;

    sets = sets < 1024 ? sets : 1024;
    while (sets * in > INPUTS || sets * out > OUTPUTS || sets * steps > SCALES) {
        sets--;
    }
    if (sets == 0) {
        must(QB_ERROR_MEMORY);
    }
    must(qb_queue_reserve(queue, qb_kernel_workspace(kernel, device, problem)));
    must(qb_graph_begin(queue));
    for (size_t set = 0; set < sets; set++) {
        const struct qb_tensors tensors = QB_TENSORS(inputs + set * in, outputs + set * out, scales + set * steps);

        must(qb_kernel_run(kernel, queue, problem, &tensors));
    }
    must(qb_graph_end(queue, &graph));
    *launches = sets;
    return graph;
}

/* Times COUNT candidates REPLAYS times, in turn. Before each, other memory is copied through the cache. */
static void take(struct candidate *candidates, size_t count, size_t launches, int replays)
{
    const size_t flush = (size_t)128 << 20;

    for (int replay = -1; replay < replays; replay++) {
        for (size_t i = 0; i < count; i++) {
            double ns;

            must(qb_queue_copy(queue, outputs + OUTPUTS - flush, inputs + INPUTS - flush, flush));
            must(qb_event_record(queue, start));
            must(qb_graph_launch(candidates[i].graph, queue));
            must(qb_event_record(queue, end));
            must(qb_event_elapsed(start, end, &ns));
            if (replay >= 0) {
                candidates[i].times[replay] = ns / (double)launches / 1000;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        qsort(candidates[i].times, (size_t)replays, sizeof candidates[i].times[0], ascending);
        candidates[i].median = candidates[i].times[replays / 2];
    }
}

/* The fastest of COUNT candidates, of which the first is the automatic choice. */
static size_t fastest(const struct candidate *candidates, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (candidates[i].median < candidates[best].median) {
            best = i;
        }
    }
    return best;
}

/* Returns true if the automatic choice for PROBLEM loses. */
static bool judge(const struct qb_problem *problem, const char *what, bool all)
{
    struct candidate candidates[KERNELS_MOST];
    const struct qb_kernel *choice;
    size_t count = 1, launches = 0, best;
    bool loses;

    must(qb_kernel_match(device, problem, NULL, &choice));
    candidates[0].kernel = choice;
    for (size_t i = 0; i < qb_kernel_count() && count < KERNELS_MOST; i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        if (kernel != choice && qb_kernel_backend(kernel) == qb_kernel_backend(choice) && !qb_kernel_plugin(kernel) &&
            qb_kernel_supports(kernel, device, problem)) {
            candidates[count++].kernel = kernel;
        }
    }
    for (size_t i = 0; i < count; i++) {
        candidates[i].graph = captured(candidates[i].kernel, problem, &launches);
    }
    take(candidates, count, launches, 7);
    best = fastest(candidates, count);
    loses = candidates[0].median > LOSS * candidates[best].median;
    if (loses) {
        take(candidates, count, launches, REPLAYS_MOST);
        best = fastest(candidates, count);
        loses = candidates[0].median > LOSS * candidates[best].median;
    }
    if (loses || all) {
        printf("%4llu x %5llu  %-9s  %-20s %9.3f us  %-20s %9.3f us  %5.3f%s\n", (unsigned long long)problem->tokens,
               (unsigned long long)problem->hidden, what, qb_kernel_name(choice), candidates[0].median,
               qb_kernel_name(candidates[best].kernel), candidates[best].median,
               candidates[0].median / candidates[best].median, loses ? "  LOSES" : "");
        fflush(stdout);
    }
    for (size_t i = 0; i < count; i++) {
        qb_graph_destroy(candidates[i].graph);
    }
    return loses;
}

int main(int argc, char **argv)
{
    static const uint64_t hidden[] = {1024, 4096, 4352, 5120, 7168, 8192, 14336};
    static const struct {
        const char *name;
        enum qb_granularity granularity;
        enum qb_scaling scaling;
        uint64_t rows, cols; /* of a group or block */
    } ways[] = {
        {"static", QB_GRANULARITY_TENSOR, QB_SCALING_STATIC, 0, 0},
        {"tensor", QB_GRANULARITY_TENSOR, QB_SCALING_DYNAMIC, 0, 0},
        {"token", QB_GRANULARITY_TOKEN, QB_SCALING_DYNAMIC, 0, 0},
        {"channel", QB_GRANULARITY_CHANNEL, QB_SCALING_DYNAMIC, 0, 0},
        {"group:128", QB_GRANULARITY_GROUP, QB_SCALING_DYNAMIC, 1, 128},
        {"block:128", QB_GRANULARITY_BLOCK, QB_SCALING_DYNAMIC, 128, 128},
    };
    const bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    unsigned count = 0, lost = 0;

    if (argc > 1 && !all) {
        fprintf(stderr, "usage: cuda_choices [--all]\n");
        return 2;
    }
    must(qb_device_open(qb_backend_find("cuda"), 0, &device));
    must(qb_queue_create(device, &queue));
    must(qb_event_create(device, &start));
    must(qb_event_create(device, &end));
    must(qb_memory_alloc(device, INPUTS, (void **)&inputs));
    must(qb_memory_alloc(device, OUTPUTS, (void **)&outputs));
    must(qb_memory_alloc(device, SCALES, (void **)&scales));
    fill();
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        for (size_t width = 0; width < sizeof hidden / sizeof *hidden; width++) {
            for (uint64_t tokens = 1; tokens <= 8192; tokens *= 2) {
                struct qb_problem problem;

                qb_problem_init(&problem);
                problem.output = QB_FORMAT_E4M3;
                problem.granularity = ways[way].granularity;
                problem.scaling = ways[way].scaling;
                problem.tokens = tokens;
                problem.hidden = hidden[width];
                if (ways[way].granularity == QB_GRANULARITY_GROUP) {
                    problem.group = ways[way].cols;
                } else if (ways[way].granularity == QB_GRANULARITY_BLOCK) {
                    problem.block_rows = ways[way].rows;
                    problem.block_cols = ways[way].cols;
                }
                count++;
                lost += judge(&problem, ways[way].name, all);
            }
        }
    }
    printf("%u sizes, %u choices that lose more than 3 %%\n", count, lost);
    qb_memory_free(device, scales);
    qb_memory_free(device, outputs);
    qb_memory_free(device, inputs);
    qb_event_destroy(end);
    qb_event_destroy(start);
    qb_queue_destroy(queue);
    qb_device_close(device);
    return lost > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
