/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - times blocks of launches with the device's own events.
 *
 * A block is one graph where that is asked for, so that the host is out of the way. Blocks follow each other without a
 * pause, after one that is not counted, and share the events between them: the device is never idle inside a sample,
 * and no sample holds the start of the first launch. An isolated launch is the opposite: its queue is idle before it.
 *
 * Several queues run their blocks at the same time, each with an event between two of its own, and one block more at
 * the end, so that all are busy while any of them is timed. The time per launch of all together is the inverse of the
 * sum of their rates.
 *
 * On the CPU the work is done when a launch returns, so that between two samples it can be seen whether the system has
 * let this process work in peace. If not, the sample is taken again; but not for ever: as often as there are samples,
 * and hardly more often than there are samples in peace, since a round that is disturbed as a whole stays so.
 * There a sample need not be a whole rotation through the sets either: samples are windows of it that follow each
 * other, so that a sample takes as many launches as the timer asks for, and not as the cache is large.
 *
 * Whoever wants to know whether launches do their work may change their data between samples, and look at what they
 * gave: between any two on the CPU, where each is waited for anyway, and around a batch elsewhere. */
#include <config.h>

#include "measure/measure.h"
#include "measure/disturbance.h"
#include "base/interrupt.h"
#include "base/saturate.h"
#include "base/message.h"
#include "base/stats.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A block lasts at least this long, in nanoseconds, so that the gap between two blocks, up to a microsecond, does not
 * count. */
#define MIN_BLOCK_TIME 500e3

/* Samples in flight after a block that is not counted: enough to keep the device busy, few enough for any queue. */
#define MAX_BATCH 128

/* The host's time is taken of at most this many launches into an idle queue: more may have to wait for a place in it.
 */
#define MAX_HOST_LAUNCHES 256

/* A share of the sets, at least one, is launched into to find out how many launches make a sample. */
#define TRIALS 256

/* Samples that are taken again although none was left in peace yet. */
#define RETAKEN_IN_VAIN 3

/* True if no sample is to be begun after TAKEN others. */
static bool is_over(const struct measure *m, uint64_t taken)
{
    message_heartbeat();
    return interrupt_requested() || (m->settings.deadline > 0 && taken > 0 && clock_seconds() >= m->settings.deadline);
}

/* Leave the device alone for a while. */
static void pause_for(double nanoseconds)
{
    struct timespec left = {(time_t)(nanoseconds / 1e9), (long)fmod(nanoseconds, 1e9)};

    while (nanoseconds > 0 && nanosleep(&left, &left) != 0 && !interrupt_requested()) {
    }
}

/* Launch number I of a queue's block. */
static enum qb_status launch_one(const struct measure *m, const struct measure_block *block, uint64_t i)
{
    uint64_t own_sets = m->work->sets / m->queue_count;

    return m->work->launch(m->work->context, block->queue,
                           block->first_set + (unsigned)((m->first + i) % own_sets) * m->queue_count);
}

/* The first COUNT launches of a block on every queue, one by one. The queues take turns, so that none is done before
 * another has begun. */
static enum qb_status launch_each(const struct measure *m, uint64_t count)
{
    enum qb_status status = QB_OK;

    for (uint64_t i = 0; i < count && status == QB_OK; i++) {
        for (unsigned q = 0; q < m->queue_count && status == QB_OK; q++) {
            status = launch_one(m, &m->blocks[q], i);
        }
    }
    return status;
}

/* True if samples are windows. */
static bool has_windows(const struct measure *m)
{
    return m->settings.launches < m->work->sets / m->queue_count;
}

/* Say which window comes next. */
static enum qb_status reach(const struct measure *m)
{
    return has_windows(m) && m->work->reach != NULL ? m->work->reach(m->work->context, m->first, m->settings.launches)
                                                    : QB_OK;
}

/* The window of a block is done. */
static void go_on(struct measure *m)
{
    if (has_windows(m)) {
        m->first = (m->first + m->settings.launches) % m->work->sets;
    }
}

/* Launch a block on every queue. */
static enum qb_status launch_blocks(const struct measure *m)
{
    enum qb_status status = QB_OK;

    if (m->blocks[0].graph == NULL) {
        return launch_each(m, m->settings.launches);
    }
    for (unsigned q = 0; q < m->queue_count && status == QB_OK; q++) {
        status = qb_graph_launch(m->blocks[q].graph, m->blocks[q].queue);
    }
    return status;
}

static enum qb_status synchronize(const struct measure *m)
{
    enum qb_status status = QB_OK;

    for (unsigned q = 0; q < m->queue_count; q++) {
        enum qb_status one = qb_queue_synchronize(m->blocks[q].queue);

        status = status == QB_OK ? one : status;
    }
    return status;
}

static enum qb_status pose(const struct measure *m, enum measure_question kind, unsigned set)
{
    return m->work->pose != NULL ? m->work->pose(m->work->context, kind, set) : QB_OK;
}

static enum qb_status judge(const struct measure *m)
{
    return m->work->judge != NULL ? m->work->judge(m->work->context) : QB_OK;
}

static void watch(const struct measure *m)
{
    if (m->work->watch != NULL) {
        m->work->watch(m->work->context);
    }
}

/* Event number I of queue Q. */
static struct qb_event **event_at(const struct measure *m, unsigned q, uint64_t i)
{
    return &m->events[q * (m->batch + 1) + i];
}

static enum qb_status record_events(const struct measure *m, uint64_t i)
{
    enum qb_status status = QB_OK;

    for (unsigned q = 0; q < m->queue_count && status == QB_OK; q++) {
        status = qb_event_record(m->blocks[q].queue, *event_at(m, q, i));
    }
    return status;
}

/* The time per launch between events I and I + 1 of all queues together. */
static enum qb_status elapsed(const struct measure *m, uint64_t i, double *time)
{
    double rate = 0, block = 0;

    for (unsigned q = 0; q < m->queue_count; q++) {
        enum qb_status status = qb_event_elapsed(*event_at(m, q, i), *event_at(m, q, i + 1), &block);

        if (status != QB_OK) {
            return status;
        }
        rate += 1 / block;
    }
    /* A coarse timer may have seen no time pass. */
    *time = (m->queue_count == 1 ? block : 1 / rate) / (double)m->settings.launches;
    return QB_OK;
}

/* The block that is not counted: it brings the device up to speed, and the queues are idle before it, so that the host
 * finds a place in them for its launches. */
static enum qb_status lead(const struct measure *m, double *host_time)
{
    uint64_t timed = m->settings.launches < MAX_HOST_LAUNCHES ? m->settings.launches : MAX_HOST_LAUNCHES;
    double start = clock_nanoseconds();
    enum qb_status status = QB_OK;

    if (m->blocks[0].graph != NULL) {
        status = launch_blocks(m);
        *host_time = (clock_nanoseconds() - start) / (double)(m->settings.launches * m->queue_count);
        return status;
    }
    for (uint64_t i = 0; i < m->settings.launches && status == QB_OK; i++) {
        for (unsigned q = 0; q < m->queue_count && status == QB_OK; q++) {
            status = launch_one(m, &m->blocks[q], i);
        }
        if (i + 1 == timed) {
            *host_time = (clock_nanoseconds() - start) / (double)(timed * m->queue_count);
        }
    }
    return status;
}

/* True if a sample that began with BEFORE, and took NANOSECONDS, counts: the system let this process work, or
 * enough was taken again. */
static bool keeps(struct measure *m, const struct disturbance_glance *before, double nanoseconds)
{
    struct disturbance_glance after;

    if (!m->settings.in_peace) {
        return true;
    }
    disturbance_glance(&after);
    if (!disturbance_is_material(before, &after, nanoseconds)) {
        m->peaceful++;
        return true;
    }
    if (m->retaken < m->most_retaken && m->retaken < m->peaceful + RETAKEN_IN_VAIN) {
        m->retaken++;
        return false;
    }
    m->disturbed++;
    return true;
}

/* One launch into each set, untimed, which is asked a question. */
static enum qb_status launch_rotation(const struct measure *m)
{
    enum qb_status status = pose(m, MEASURE_USUAL, 0), end;

    if (status == QB_OK && m->blocks[0].rotation == NULL) {
        status = launch_each(m, m->work->sets / m->queue_count);
    }
    for (unsigned q = 0; q < m->queue_count && status == QB_OK && m->blocks[q].rotation != NULL; q++) {
        status = qb_graph_launch(m->blocks[q].rotation, m->blocks[q].queue);
    }
    end = synchronize(m);
    status = status == QB_OK ? end : status;
    return status == QB_OK ? judge(m) : status;
}

/* The launches of a block that has several into each set could do the work in turns: before sample NUMBER, if it is the
 * one that was chosen for this, ask single ones, in no more time than a block takes. */
static enum qb_status launch_singles(struct measure *m, uint64_t number)
{
    uint64_t rotations = m->settings.launches / (m->work->sets / m->queue_count);
    uint64_t singles = rotations < MEASURE_SINGLES ? rotations : MEASURE_SINGLES;
    enum qb_status status = QB_OK;

    if (m->work->pose == NULL || number != m->single_before || rotations <= 1) {
        return QB_OK;
    }
    m->single_before = 0;
    for (uint64_t i = 0; i < singles && status == QB_OK; i++) {
        status = launch_rotation(m);
    }
    return status;
}

/* The block that is not counted, which may be asked as any other. */
static enum qb_status lead_in_peace(struct measure *m, double *host_time)
{
    enum qb_status status = reach(m);

    status = status == QB_OK ? pose(m, MEASURE_USUAL, (unsigned)m->first) : status;
    status = status == QB_OK ? lead(m, host_time) : status;
    status = status == QB_OK ? judge(m) : status;
    go_on(m);
    return status;
}

/* A block between two events. */
static enum qb_status take_one(const struct measure *m, double *sample)
{
    enum qb_status status = record_events(m, 0);

    status = status == QB_OK ? launch_blocks(m) : status;
    status = status == QB_OK ? record_events(m, 1) : status;
    return status == QB_OK ? elapsed(m, 0, sample) : status;
}

/* COUNT samples of blocks, each between two events of its own and taken in peace, after DONE others; LAST if none come
 * after them. An interrupt and the deadline lower *COUNT. */
static enum qb_status take_in_peace(struct measure *m, uint64_t done, bool last, uint64_t *count, double *samples,
                                    double *host_time)
{
    uint64_t taken = 0;
    enum qb_status status = lead_in_peace(m, host_time);

    while (taken < *count && status == QB_OK && !is_over(m, done + taken)) {
        struct disturbance_glance before;
        bool kept;

        status = launch_singles(m, done + taken + 1);
        status = status == QB_OK ? reach(m) : status;
        if (status == QB_OK) {
            status = pose(m, last && taken + 1 == *count ? MEASURE_LAST : MEASURE_USUAL, (unsigned)m->first);
        }
        disturbance_glance(&before);
        status = status == QB_OK ? take_one(m, &samples[taken]) : status;
        kept = status == QB_OK && keeps(m, &before, samples[taken] * (double)m->settings.launches);
        status = status == QB_OK ? judge(m) : status;
        go_on(m);
        taken += kept;
    }
    *count = taken;
    return status;
}

/* COUNT samples, at most a batch, of blocks that follow each other. An interrupt lowers *COUNT to those that were
 * launched. If WATCHED, the device is looked at meanwhile. */
static enum qb_status take_batch(const struct measure *m, bool watched, uint64_t *count, double *samples,
                                 double *host_time)
{
    uint64_t launched = 0;
    enum qb_status status = lead(m, host_time), end;

    if (status == QB_OK) {
        status = record_events(m, 0);
    }
    while (launched < *count && status == QB_OK && !interrupt_requested()) {
        status = launch_blocks(m);
        if (status == QB_OK) {
            status = record_events(m, ++launched);
        }
    }
    if (status == QB_OK && m->queue_count > 1) {
        status = launch_blocks(m);
    }
    if (watched) {
        watch(m);
    }
    end = synchronize(m);
    status = status == QB_OK ? end : status;
    for (uint64_t i = 0; i < launched && status == QB_OK; i++) {
        status = elapsed(m, i, &samples[i]);
    }
    *count = launched;
    return status;
}

/* The same, of which a question is asked; LAST if no samples come after them. The device is busy from the first launch
 * of a batch to its last, so that all of them are asked together. */
static enum qb_status ask_batch(const struct measure *m, bool watched, bool last, uint64_t *count, double *samples,
                                double *host_time)
{
    enum qb_status status = pose(m, last ? MEASURE_LAST : MEASURE_USUAL, 0);

    status = status == QB_OK ? take_batch(m, watched, count, samples, host_time) : status;
    return status == QB_OK ? judge(m) : status;
}

/* COUNT launches, each on an idle queue, after a rotation through all sets that is not counted: so each finds the
 * cache as the rotation has left it. An interrupt and the deadline lower *COUNT. */
static enum qb_status take_isolated(struct measure *m, uint64_t *count, double *samples, double *host_time)
{
    const struct measure_block *block = &m->blocks[0];
    uint64_t wanted = *count;
    struct disturbance_glance before;
    double host_sum = 0;
    enum qb_status status = QB_OK;

    *count = 0;
    for (uint64_t i = 0; i < m->work->sets && status == QB_OK; i++) {
        status = launch_one(m, block, i);
    }
    if (status == QB_OK) {
        status = qb_queue_synchronize(block->queue);
    }
    for (uint64_t i = 0; *count < wanted && status == QB_OK && !is_over(m, *count); i++) {
        double start, host_time_of_one;
        bool kept;

        status = pose(m, MEASURE_USUAL, (unsigned)(i % m->work->sets));
        pause_for(m->settings.pause);
        disturbance_glance(&before);
        if (status == QB_OK) {
            status = qb_event_record(block->queue, *event_at(m, 0, 0));
        }
        start = clock_nanoseconds();
        if (status == QB_OK) {
            status = launch_one(m, block, i);
        }
        host_time_of_one = clock_nanoseconds() - start;
        if (status == QB_OK) {
            status = qb_event_record(block->queue, *event_at(m, 0, 1));
        }
        if (*count + 1 == wanted) {
            watch(m);
        }
        if (status == QB_OK) {
            status = qb_queue_synchronize(block->queue);
        }
        if (status == QB_OK) {
            status = qb_event_elapsed(*event_at(m, 0, 0), *event_at(m, 0, 1), &samples[*count]);
        }
        kept = status == QB_OK && keeps(m, &before, samples[*count]);
        status = status == QB_OK ? judge(m) : status;
        *count += kept;
        host_sum += kept ? host_time_of_one : 0;
    }
    *host_time = *count > 0 ? host_sum / (double)*count : 0;
    return status;
}

/* How many of the LEFT samples are taken together, after DONE others. */
static uint64_t choose_batch(const struct measure *m, uint64_t done, uint64_t left)
{
    uint64_t room = m->batch;

    if (m->settings.mode == LAUNCH_ISOLATED) {
        return left;
    }
    if (m->settings.pause > 0) {
        room = 1; /* before each sample a pause: each is a batch of its own */
    } else if (!m->settings.in_peace && m->single_before > done + 1 && m->single_before - done - 1 < room) {
        room = m->single_before - done - 1;
    }
    if (m->settings.deadline > 0 && m->settings.sample_time > 0) {
        const double fit = (m->settings.deadline - clock_seconds()) * 1e9 / m->settings.sample_time;

        room = fit >= (double)room ? room : fit > 1 ? (uint64_t)fit : 1;
    }
    return left < room ? left : room;
}

uint64_t measure_most_windows(uint64_t count)
{
    /* The samples, as many that are taken again, and what leads each batch: there are no more of them than samples. */
    return saturate_multiply(3, count);
}

enum qb_status measure_take(struct measure *m, uint64_t count, double *samples, uint64_t *taken, double *host_time)
{
    uint64_t done = 0;
    bool first = true;

    *host_time = 0;
    m->retaken = m->disturbed = m->peaceful = 0;
    m->most_retaken = count;
    while (done < count && !is_over(m, done)) {
        uint64_t wanted = choose_batch(m, done, count - done);
        bool last = done + wanted == count;
        double host;
        enum qb_status status;

        if (m->settings.mode == LAUNCH_ISOLATED) {
            status = take_isolated(m, &wanted, samples + done, &host);
        } else if (m->settings.in_peace) {
            pause_for(m->settings.pause);
            status = take_in_peace(m, done, last, &wanted, samples + done, &host);
        } else {
            status = launch_singles(m, done + 1);
            pause_for(m->settings.pause);
            /* Looking takes time that is not a part of the pause before the next sample. */
            if (status == QB_OK) {
                status = ask_batch(m, m->settings.pause == 0 || last, last, &wanted, samples + done, &host);
            }
        }
        if (status != QB_OK) {
            return status;
        }
        /* The host is fastest when nothing disturbs it. */
        *host_time = first || host < *host_time ? host : *host_time;
        first = false;
        done += wanted;
    }
    *taken = done;
    return QB_OK;
}

/* True if samples of M can be windows. */
static bool can_have_windows(const struct measure *m)
{
    return m->settings.in_peace && m->settings.mode == LAUNCH_STREAM && m->queue_count == 1 && m->work->sets > 1;
}

/* The time of a launch in the fastest of a few windows after one that does not count: what disturbs one does not make
 * all samples of the run too short. */
static enum qb_status time_windows(struct measure *m, double *time)
{
    double fastest = INFINITY, one = 0;
    enum qb_status status = QB_OK;

    for (int i = 0; i < 4 && status == QB_OK; i++) {
        status = reach(m);
        status = status == QB_OK ? take_one(m, &one) : status;
        go_on(m);
        fastest = i > 0 && one < fastest ? one : fastest;
    }
    *time = fastest;
    return status;
}

/* LAUNCHES, or more that make whole rotations where samples cannot be windows of LAUNCHES. */
static uint64_t whole_sample(const struct measure *m, double launches)
{
    const uint64_t rotation = m->work->sets / m->queue_count;

    if (can_have_windows(m) && (launches < (double)rotation || m->settings.only_windows)) {
        return launches < (double)rotation ? (uint64_t)launches : rotation - 1;
    }
    return rotation * (uint64_t)fmax(ceil(launches / (double)rotation), 1);
}

/* How many launches make a block, for long enough: a window of the buffer sets, or whole rotations. */
static enum qb_status choose_launches(struct measure *m)
{
    const double shortest = fmax(m->settings.timer_tick / (2 * m->settings.precision), MIN_BLOCK_TIME);
    const uint64_t rotation = m->work->sets / m->queue_count,
                   trial = can_have_windows(m) ? rotation / TRIALS + 1 : rotation;
    uint64_t count = 1;
    double time = 0, host_time;
    enum qb_status status;

    m->settings.launches = trial;
    status = has_windows(m) ? time_windows(m, &time) : take_batch(m, false, &count, &time, &host_time);
    if (status != QB_OK) {
        return status;
    }
    /* One by one from the host a launch may look longer than it is in a graph: allow for a factor of two. A trial of no
     * measurable time is taken for one tick. */
    time = fmax(time * (double)m->queue_count, m->settings.timer_tick / (double)trial);
    m->settings.launches = whole_sample(m, fmax(ceil(2 * shortest / time), 1));
    m->settings.sample_time = time * (double)m->settings.launches;
    m->first = has_windows(m) ? m->first : 0;
    return QB_OK;
}

/* Capture the first COUNT launches of BLOCK. */
static enum qb_status capture_launches(const struct measure *m, const struct measure_block *block, uint64_t count,
                                       struct qb_graph **graph)
{
    struct qb_graph *captured;
    enum qb_status status = qb_graph_begin(block->queue), end;

    if (status != QB_OK) {
        return status;
    }
    for (uint64_t i = 0; i < count && status == QB_OK; i++) {
        status = launch_one(m, block, i);
    }
    /* A capture is ended also when a launch has failed, or the queue could not be used again. */
    end = qb_graph_end(block->queue, &captured);
    if (status != QB_OK && end == QB_OK) {
        qb_graph_destroy(captured);
    }
    status = status == QB_OK ? end : status;
    if (status == QB_OK) {
        *graph = captured;
    }
    return status;
}

/* Capture a block as a graph on each queue, and one launch into each set if that is less and will be wanted. */
static enum qb_status capture(struct measure *m)
{
    uint64_t rotation = m->work->sets / m->queue_count;
    enum qb_status status = QB_OK;

    for (unsigned q = 0; q < m->queue_count && status == QB_OK; q++) {
        status = capture_launches(m, &m->blocks[q], m->settings.launches, &m->blocks[q].graph);
        if (status == QB_OK && m->work->pose != NULL && rotation < m->settings.launches) {
            status = capture_launches(m, &m->blocks[q], rotation, &m->blocks[q].rotation);
        }
    }
    return status;
}

static enum qb_status create_events(struct measure *m)
{
    for (uint64_t i = 0; i < m->queue_count * (m->batch + 1); i++) {
        enum qb_status status = qb_event_create(m->device, &m->events[i]);

        if (status != QB_OK) {
            return status;
        }
    }
    return QB_OK;
}

enum qb_status measure_open(struct qb_device *device, struct qb_queue *const *queues, unsigned queue_count,
                            const struct measure_work *work, const struct measure_settings *settings,
                            struct measure *measure)
{
    struct measure m = {.device = device, .work = work, .settings = *settings, .queue_count = queue_count};
    enum qb_status status;

    m.first = settings->first;
    m.batch = settings->mode == LAUNCH_ISOLATED ? 1 : MAX_BATCH;
    m.blocks = calloc(queue_count, sizeof *m.blocks);
    m.events = calloc(queue_count * (m.batch + 1), sizeof(struct qb_event *));
    if (m.blocks == NULL || m.events == NULL) {
        free(m.blocks);
        free(m.events);
        return QB_ERROR_MEMORY;
    }
    for (unsigned q = 0; q < queue_count; q++) {
        m.blocks[q] = (struct measure_block){.queue = queues[q], .first_set = q};
    }
    status = create_events(&m);
    if (settings->mode == LAUNCH_ISOLATED) {
        m.settings.launches = 1;
    } else if (status == QB_OK && m.settings.launches == 0) {
        status = choose_launches(&m);
    }
    /* After an interrupt there may be no time to choose by, and nothing more to measure. */
    if (status == QB_OK && settings->mode == LAUNCH_GRAPH && !interrupt_requested()) {
        status = capture(&m);
    }
    if (status != QB_OK) {
        measure_close(&m);
        return status;
    }
    *measure = m;
    return QB_OK;
}

void measure_close(struct measure *m)
{
    synchronize(m);
    for (unsigned q = 0; q < m->queue_count; q++) {
        qb_graph_destroy(m->blocks[q].graph);
        qb_graph_destroy(m->blocks[q].rotation);
    }
    for (uint64_t i = 0; i < m->queue_count * (m->batch + 1); i++) {
        qb_event_destroy(m->events[i]);
    }
    free(m->events);
    free(m->blocks);
    m->events = NULL;
    m->blocks = NULL;
}

enum qb_status measure_choose(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                              struct measure_settings *settings)
{
    struct measure measure;
    enum qb_status status = measure_open(device, &queue, 1, work, settings, &measure);

    if (status == QB_OK) {
        settings->launches = measure.settings.launches;
        settings->first = measure.first;
        measure_close(&measure);
    }
    return status;
}

enum qb_status measure_series(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                              struct measure_settings *settings, uint64_t count, double *samples, uint64_t *taken)
{
    struct measure measure;
    double host_time;
    enum qb_status status = measure_open(device, &queue, 1, work, settings, &measure);

    *taken = 0;
    if (status != QB_OK) {
        return status;
    }
    if (!interrupt_requested()) {
        settings->launches = measure.settings.launches;
        status = measure_take(&measure, count, samples, taken, &host_time);
        settings->first = measure.first;
    }
    measure_close(&measure);
    return status;
}

/* Two events, both or none. */
static enum qb_status create_pair(struct qb_device *device, struct qb_event *events[2])
{
    enum qb_status status = qb_event_create(device, &events[0]);

    if (status != QB_OK) {
        return status;
    }
    status = qb_event_create(device, &events[1]);
    if (status != QB_OK) {
        qb_event_destroy(events[0]);
    }
    return status;
}

enum qb_status measure_profile(struct qb_device *device, struct qb_queue *queue, const struct measure_work *work,
                               uint64_t warmup, const char *name, double *nanoseconds, bool *profiled)
{
    struct qb_event *events[2];
    enum qb_status status = create_pair(device, events);

    if (status != QB_OK) {
        return status;
    }
    for (uint64_t i = 0; i < warmup && status == QB_OK; i++) {
        status = work->launch(work->context, queue, (unsigned)(i % work->sets));
    }
    if (status == QB_OK) {
        status = qb_queue_synchronize(queue);
    }
    if (status == QB_OK && work->pose != NULL) {
        status = work->pose(work->context, MEASURE_USUAL, 0);
    }
    if (status == QB_OK) {
        *profiled = qb_profiler_start(device) == QB_OK;
        qb_range_push(device, name);
        status = qb_event_record(queue, events[0]);
        if (status == QB_OK) {
            status = work->launch(work->context, queue, 0);
        }
        if (status == QB_OK) {
            status = qb_event_record(queue, events[1]);
        }
        if (status == QB_OK) {
            status = qb_event_elapsed(events[0], events[1], nanoseconds);
        }
        qb_range_pop(device);
        if (*profiled) {
            qb_profiler_stop(device);
        }
    }
    if (status == QB_OK && work->judge != NULL) {
        status = work->judge(work->context);
    }
    qb_event_destroy(events[0]);
    qb_event_destroy(events[1]);
    return status;
}
