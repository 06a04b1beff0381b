/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_judge.c - from the rounds of many devices to a verdict on each. A device is held against the median of those of
 * its kind that ran the same case. Its error is pooled with theirs, since ten rounds alone say little of how they
 * scatter; all error probabilities are corrected for their number; and what was suspicious and was measured again
 * counts by the second measurement alone, since only that tells a slow device from one that was disturbed. */
#include <config.h>

#include "base/stats.h"
#include "fleet/fleet.h"
#include "verdict/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The least margin, and the one in deviations of the devices. */
#define LEAST_MARGIN      0.02
#define MARGIN_DEVIATIONS 4

/* A device is measured again from this share of the margin on. */
#define SUSPICIOUS 0.75

/* Degrees of freedom that the pooled variance brings: as many rounds as are needed to outweigh it. */
#define POOLED_FREEDOM 20

/* The variance of a median, in units of that of a mean of as many. */
#define MEDIAN_VARIANCE (M_PI / 2)

/* Rounds that scatter this many times as much as those of the peers are unsteady. */
#define UNSTEADY 5

/* A figure that is farther from the median than this share of the slowdown explains it. */
#define EXPLAINS 0.5

/* The least share by which a clock is lower that counts. */
#define CLOCK_SHARE 0.01

const char *const fleet_verdict_words[] = {"OK",     "TRANSIENT", "UNSTEADY", "NO VERDICT", "SUSPECT",
                                           "SLOWER", "NO ANSWER", "WRONG",    NULL};
const char *const fleet_cause_words[] = {"",       "unknown", "memory",  "power",      "host",  "node",
                                         "absent", "failed",  "untimed", "unfinished", "short", NULL};

/* ---- Visits to entries ------------------------------------------------------------------------------------------- */

/* By group, device and time. */
static int by_place(const void *a, const void *b)
{
    const struct fleet_visit *v = a, *w = b;
    const int date = strcmp(v->date, w->date);

    if (v->group != w->group) {
        return v->group < w->group ? -1 : 1;
    }
    if (v->device != w->device) {
        return v->device < w->device ? -1 : 1;
    }
    return date != 0 ? date : (v->order > w->order) - (v->order < w->order);
}

static bool is_same_place(const struct fleet_visit *a, const struct fleet_visit *b)
{
    return a->device == b->device && a->group == b->group;
}

/* Let ENTRY have those of the COUNT visits of one case on one device from FIRST on that have a time. Those in turns
 * stand beside those that were made together with the other devices of the node; without such, they are the ones that
 * count. Returns false if there is none. */
static bool make_entry(const struct fleet_visit *first, size_t count, struct fleet_entry *entry)
{
    bool any_together = false;

    *entry = (struct fleet_entry){.device = first->device, .group = first->group, .ratio = 1, .p = 1, .p_again = 1};
    for (size_t i = 0; i < count; i++) {
        any_together = any_together || (first[i].time.rounds > 0 && !first[i].in_turns);
    }
    for (size_t i = 0; i < count; i++) {
        const struct fleet_visit *visit = &first[i];

        if (visit->time.rounds == 0) {
            continue;
        }
        if (visit->in_turns && any_together) {
            entry->in_turns = visit;
        } else if (entry->first == NULL) {
            entry->first = visit;
        } else {
            entry->again = visit;
        }
    }
    if (entry->in_turns != NULL) {
        entry->coupling = exp(entry->first->time.mean - entry->in_turns->time.mean);
    }
    return entry->first != NULL;
}

/* Make all entries. */
static bool make_entries(struct fleet *fleet)
{
    const struct fleet_visit *visits = fleet->visits;
    const size_t all = fleet->visit_count;
    size_t count;

    fleet->entries = calloc(all + 1, sizeof *fleet->entries);
    if (fleet->entries == NULL) {
        return false;
    }
    if (all > 0) {
        qsort(fleet->visits, all, sizeof *fleet->visits, by_place);
    }
    for (size_t i = 0; i < all; i += count) {
        for (count = 1; i + count < all && is_same_place(&visits[i], &visits[i + count]); count++) {
        }
        if (make_entry(&visits[i], count, &fleet->entries[fleet->entry_count])) {
            fleet->groups[visits[i].group].count++;
            fleet->entry_count++;
        }
    }
    return true;
}

/* ---- Groups ------------------------------------------------------------------------------------------------------ */

/* The median of what is known of the figure at OFFSET of the first visits of COUNT entries. */
static double median_of(const struct fleet_entry *entries, size_t count, size_t offset, double *space)
{
    size_t known = 0;

    for (size_t i = 0; i < count; i++) {
        const double figure = *(const double *)(const void *)((const char *)entries[i].first + offset);

        if (figure > 0) {
            space[known++] = figure;
        }
    }
    return known > 0 ? stats_median(space, known) : 0;
}

/* The variance of one round, from the median of those of all devices: a sick one does not add to it. The median of a
 * chi square is its degrees of freedom times (1 - 2 / (9 freedom))^3. */
static double pooled_variance(const struct fleet_entry *entries, size_t count, double *space)
{
    size_t known = 0;

    for (size_t i = 0; i < count; i++) {
        const struct series_estimate *time = &entries[i].first->time;

        if (time->freedom > 0) {
            const double share = 1 - 2 / (9.0 * time->freedom);

            space[known++] = time->variance * time->rounds / (share * share * share);
        }
    }
    return known > 0 ? stats_median(space, known) : 0;
}

/* What it costs the COUNT ENTRIES of GROUP, FIRST_ENTRY being the index of the first, that the devices of a node work
 * together. */
static void describe_coupling(const struct fleet_entry *entries, size_t count, size_t first_entry, double *space,
                              struct fleet_group *group)
{
    group->worst = SIZE_MAX;
    group->coupled = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].coupling > 0) {
            space[group->coupled++] = entries[i].coupling;
            group->worst =
                group->worst == SIZE_MAX || entries[i].coupling > entries[group->worst - first_entry].coupling
                    ? first_entry + i
                    : group->worst;
        }
    }
    group->coupling = group->coupled > 0 ? stats_median(space, group->coupled) : 0;
}

/* Describe the COUNT entries of one group. SPACE has room for as many numbers. */
static void describe_group(struct fleet *fleet, const struct fleet_entry *entries, size_t count, double *space)
{
    struct fleet_group *group = &fleet->groups[entries[0].group];
    bool enough = count >= FLEET_MIN_PEERS;

    for (size_t i = 0; i < count; i++) {
        space[i] = entries[i].first->time.mean;
        enough = enough && entries[i].first->time.rounds >= COMPARE_MIN_COUNT;
    }
    group->deviation = series_robust_deviation(space, count, &group->center);
    for (size_t i = 0; i < count; i++) {
        space[i] = entries[i].first->time.spread;
    }
    group->spread = stats_median(space, count);
    group->variance = pooled_variance(entries, count, space);
    group->margin = fleet->margin > 0 ? fleet->margin : fmax(LEAST_MARGIN, expm1(MARGIN_DEVIATIONS * group->deviation));
    group->clock = median_of(entries, count, offsetof(struct fleet_visit, clock), space);
    group->memory_clock = median_of(entries, count, offsetof(struct fleet_visit, memory_clock), space);
    group->best_time = median_of(entries, count, offsetof(struct fleet_visit, best_time), space);
    group->host_time = median_of(entries, count, offsetof(struct fleet_visit, host_time), space);
    group->judged = enough;
    describe_coupling(entries, count, (size_t)(entries - fleet->entries), space, group);
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

/* Student's t of the intervals. Most devices have as many rounds. */
static double quantile(unsigned freedom)
{
    static unsigned cached_freedom;
    static double cached;

    if (cached_freedom != freedom) {
        cached = compare_t_quantile(COMPARE_ALPHA, freedom);
        cached_freedom = freedom;
    }
    return cached;
}

/* What TIME says against the peers of GROUP: the ratio with its interval, and the error probability of its being slower
 * by more than the margin. */
static double judge_time(const struct fleet_group *group, const struct series_estimate *time, struct fleet_entry *entry)
{
    const unsigned freedom = time->freedom + POOLED_FREEDOM;
    const double own = time->freedom * time->variance;
    const double pooled = (POOLED_FREEDOM * group->variance / time->rounds + own) / freedom;
    const double error = sqrt(pooled + MEDIAN_VARIANCE * group->deviation * group->deviation / (double)group->count);
    const double distance = time->mean - group->center;
    const double reach = quantile(freedom) * error;
    const double beyond = distance - log1p(group->margin);

    entry->ratio = exp(distance);
    entry->low = exp(distance - reach);
    entry->high = exp(distance + reach);
    entry->suspicious = expm1(distance) > SUSPICIOUS * group->margin;
    return error > 0 ? series_tail(beyond / error, freedom) : beyond > 0 ? 0 : 1;
}

static bool is_unsteady(const struct fleet_group *group, const struct fleet_entry *entry)
{
    const double limit = fmax(log1p(group->margin), UNSTEADY * group->spread);

    return entry->first->time.spread > limit && (entry->again == NULL || entry->again->time.spread > limit);
}

/* The verdict on ENTRY, whose error probabilities are corrected. */
static enum fleet_verdict verdict_of(const struct fleet_group *group, const struct fleet_entry *entry)
{
    const bool was_slower = entry->p <= COMPARE_ALPHA;

    if (!group->judged || (entry->again != NULL && entry->again->time.rounds < COMPARE_MIN_COUNT)) {
        return FLEET_NO_VERDICT;
    }
    if (entry->again != NULL && entry->p_again <= COMPARE_ALPHA) {
        return FLEET_SLOWER;
    }
    if (is_unsteady(group, entry)) {
        return FLEET_UNSTEADY;
    }
    return !was_slower ? FLEET_OK : entry->again == NULL ? FLEET_SUSPECT : FLEET_TRANSIENT;
}

/* Judge all entries: first each alone, then what that means among all of them. */
static bool judge_entries(struct fleet *fleet)
{
    double **first = calloc(2 * fleet->entry_count + 1, sizeof *first), **again = first + fleet->entry_count;
    size_t firsts = 0, agains = 0;

    if (first == NULL) {
        return false;
    }
    for (size_t i = 0; i < fleet->entry_count; i++) {
        struct fleet_entry *entry = &fleet->entries[i];
        const struct fleet_group *group = &fleet->groups[entry->group];
        bool was_suspicious;

        entry->p = judge_time(group, &entry->first->time, entry);
        was_suspicious = entry->suspicious;
        if (entry->again != NULL) {
            entry->p_again = judge_time(group, &entry->again->time, entry);
            entry->suspicious = was_suspicious;
        }
        if (group->judged) {
            first[firsts++] = &entry->p;
            if (entry->again != NULL) {
                again[agains++] = &entry->p_again;
            }
        }
    }
    series_holm(first, firsts);
    series_holm(again, agains);
    free(first);
    for (size_t i = 0; i < fleet->entry_count; i++) {
        struct fleet_entry *entry = &fleet->entries[i];

        entry->verdict = verdict_of(&fleet->groups[entry->group], entry);
    }
    return true;
}

/* ---- Causes ------------------------------------------------------------------------------------------------------ */

/* True if FIGURE is beyond USUAL by enough of the slowdown by RATIO to explain it. */
static bool explains(double figure, double usual, double ratio)
{
    return figure > 0 && usual > 0 && figure / usual - 1 > EXPLAINS * (ratio - 1);
}

static bool is_lower(double clock, double usual)
{
    return clock > 0 && usual > 0 && clock < (1 - CLOCK_SHARE) * usual;
}

/* The cause of the slowdown of ENTRY, from what its record has. */
static enum fleet_cause cause_of(const struct fleet_group *group, const struct fleet_entry *entry)
{
    const struct fleet_visit *visit = entry->again != NULL ? entry->again : entry->first;

    if (is_lower(visit->memory_clock, group->memory_clock)) {
        return CAUSE_MEMORY;
    }
    if (visit->throttled || is_lower(visit->clock, group->clock)) {
        return CAUSE_POWER;
    }
    if (explains(visit->best_time, group->best_time, entry->ratio)) {
        return CAUSE_MEMORY;
    }
    return explains(visit->host_time, group->host_time, entry->ratio) ? CAUSE_HOST : CAUSE_UNKNOWN;
}

/* Where all devices of a node are slower, and there are several, it is the node. */
static bool blame_nodes(struct fleet *fleet)
{
    size_t *slow = calloc(fleet->node_count + 1, sizeof *slow);

    if (slow == NULL) {
        return false;
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        const enum fleet_verdict verdict = fleet->devices[i].verdict;

        slow[fleet->devices[i].node] += verdict == FLEET_SLOWER || verdict == FLEET_SUSPECT;
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        struct fleet_device *device = &fleet->devices[i];

        if ((device->verdict == FLEET_SLOWER || device->verdict == FLEET_SUSPECT) && slow[device->node] > 1 &&
            slow[device->node] == fleet->nodes[device->node].devices && fleet->node_count > 1) {
            device->cause = CAUSE_NODE;
        }
    }
    free(slow);
    return true;
}

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

/* True if ENTRY says more against its device than OTHER does. */
static bool is_worse(const struct fleet_entry *entry, const struct fleet_entry *other)
{
    return entry->verdict != other->verdict ? entry->verdict > other->verdict : entry->low > other->low;
}

/* What the soaks of DEVICE add to the verdict of its times. A byte that was wrong once is no less an error than one
 * that is always wrong, but says something else, if the launch was repeated. */
static void judge_soak(struct fleet_device *device)
{
    const struct fleet_soak *soak = &device->soak;

    if (soak->records == 0 || device->verdict == FLEET_WRONG) {
        return;
    }
    if (soak->wrong > 0) {
        device->verdict = soak->repeatable > 0 || soak->unrepeated > 0 ? FLEET_WRONG : FLEET_TRANSIENT;
        device->cause = CAUSE_NONE;
    } else if (soak->failed) {
        device->verdict = FLEET_NO_ANSWER;
        device->cause = CAUSE_FAILED;
    } else if (soak->unfinished != NULL) {
        device->verdict = FLEET_NO_ANSWER;
        device->cause = CAUSE_UNFINISHED;
    } else if (soak->cut != NULL && soak->whole == 0 &&
               (device->verdict == FLEET_OK || device->cause == CAUSE_UNTIMED)) {
        /* What it did was right, and it is not what was asked for. */
        device->verdict = soak->launches > 0 ? FLEET_NO_VERDICT : FLEET_NO_ANSWER;
        device->cause = CAUSE_SHORT;
    } else if (device->cause == CAUSE_UNTIMED && soak->launches > 0) {
        device->verdict = FLEET_OK;
        device->cause = CAUSE_NONE;
    }
}

/* What the cases of each device come to. */
static void judge_devices(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->device_count; i++) {
        fleet->devices[i].verdict = FLEET_NO_ANSWER;
        fleet->devices[i].cause = CAUSE_UNTIMED;
    }
    for (size_t i = 0; i < fleet->entry_count; i++) {
        const struct fleet_entry *entry = &fleet->entries[i];
        struct fleet_device *device = &fleet->devices[entry->device];

        device->cases++;
        device->against += entry->verdict == FLEET_SLOWER || entry->verdict == FLEET_SUSPECT;
        if (device->entry == SIZE_MAX || is_worse(entry, &fleet->entries[device->entry])) {
            device->entry = i;
            device->verdict = entry->verdict;
            device->cause = entry->verdict == FLEET_SLOWER || entry->verdict == FLEET_SUSPECT
                                ? cause_of(&fleet->groups[entry->group], entry)
                                : CAUSE_NONE;
        }
    }
    for (size_t i = 0; i < fleet->visit_count; i++) {
        const struct fleet_visit *visit = &fleet->visits[i];
        struct fleet_device *device = &fleet->devices[visit->device];

        if (visit->wrong) {
            device->verdict = FLEET_WRONG;
            device->cause = CAUSE_NONE;
        } else if (visit->failed && device->verdict != FLEET_WRONG) {
            device->verdict = FLEET_NO_ANSWER;
            device->cause = CAUSE_FAILED;
        }
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        judge_soak(&fleet->devices[i]);
    }
}

enum exit_code fleet_judge(struct fleet *fleet)
{
    double *space = calloc(fleet->visit_count + 1, sizeof *space);
    bool good = space != NULL && make_entries(fleet);

    for (size_t i = 0, count; good && i < fleet->entry_count; i += count) {
        count = fleet->groups[fleet->entries[i].group].count;
        describe_group(fleet, &fleet->entries[i], count, space);
    }
    free(space);
    good = good && judge_entries(fleet);
    if (good) {
        judge_devices(fleet);
        good = blame_nodes(fleet);
    }
    if (!good) {
        message_error("out of memory: the verdicts on the fleet");
        return EXIT_CANNOT_RUN;
    }
    for (size_t i = 0; i < fleet->device_count; i++) {
        fleet->counts[fleet->devices[i].verdict]++;
    }
    return EXIT_OK;
}

enum exit_code fleet_device_code(const struct fleet_device *device)
{
    static const enum exit_code codes[FLEET_VERDICTS] = {
        [FLEET_OK] = EXIT_OK,
        [FLEET_TRANSIENT] = EXIT_OK,
        [FLEET_UNSTEADY] = EXIT_REGRESSION,
        [FLEET_NO_VERDICT] = EXIT_INCONCLUSIVE,
        [FLEET_SUSPECT] = EXIT_INCONCLUSIVE,
        [FLEET_SLOWER] = EXIT_REGRESSION,
        [FLEET_NO_ANSWER] = EXIT_CANNOT_RUN,
        [FLEET_WRONG] = EXIT_WRONG_RESULT,
    };

    return device->soak.wrong > 0 ? EXIT_WRONG_RESULT : codes[device->verdict];
}

enum exit_code fleet_code(const struct fleet *fleet)
{
    enum exit_code code = fleet->missing_count > 0 || fleet->device_count == 0 ? EXIT_CANNOT_RUN : EXIT_OK;

    for (size_t i = 0; i < fleet->device_count; i++) {
        code = message_worse(code, fleet_device_code(&fleet->devices[i]));
    }
    return code;
}
