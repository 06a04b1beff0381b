/* SPDX-License-Identifier: Apache-2.0 */
/* lister.c - both ends of the socket between the program and a process that describes a plug-in. */
#include <config.h>

#include "base/interrupt.h"
#include "cases/lister.h"
#include "cases/shield.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a lister is called, which nobody types by accident. */
#define LISTER_NAME "quantbench: plug-in"

/* More are taken for nonsense. */
#define MOST_KERNELS 1024

/* The plug-in's kernels are told first: a verdict, and the kernels. Before foreign code is called the process says that
 * it is READY, since only then its time begins. */
enum answer_kind { ANSWER_READY = 0x51420011, ANSWER_DONE = 0x51420012 };
struct verdict {
    enum answer_kind kind;
    enum qb_status status;
    uint64_t count;
    char why[LISTER_WHY_SIZE];
};
struct description {
    char name[CATALOG_NAME_SIZE];
    char description[CATALOG_DESCRIPTION_SIZE];
    char backend[16];
    enum qb_operation operation;
    struct qb_arithmetic arithmetic;
};
struct question {
    char kernel[CATALOG_NAME_SIZE];
    struct qb_problem problem;
};
struct answer {
    enum answer_kind kind;
    uint32_t supported;
};

/* ---- The program's end ------------------------------------------------------------------------------------------ */

/* The process says what it cannot. */
static bool is_disturbed(struct lister *lister, char why[LISTER_WHY_SIZE])
{
    child_stop(&lister->child);
    snprintf(why, LISTER_WHY_SIZE, "disturbs the process that it is loaded in");
    return false;
}

/* The process says nothing, as TEXT has it, unless this process does not wait any longer. */
static bool is_late(struct lister *lister, const char *text, char why[LISTER_WHY_SIZE])
{
    child_stop(&lister->child);
    snprintf(why, LISTER_WHY_SIZE, "%s", interrupt_requested() ? "interrupted" : text);
    return false;
}

/* Wait until foreign code is called, and then for what it leads to, whose SIZE bytes go to ANSWER. */
static bool receive(struct lister *lister, void *answer, size_t size, char why[LISTER_WHY_SIZE])
{
    struct child *child = &lister->child;
    enum answer_kind ready;
    bool came;

    if (!child_await(child, CHILD_OWN_SECONDS)) {
        return is_late(lister, "the process did not start in time", why);
    }
    came = child_take(child->socket, &ready, sizeof ready);
    if (came && ready != ANSWER_READY) {
        return is_disturbed(lister, why);
    }
    if (came && !child_await(child, (double)lister->foreign->kernel_timeout)) {
        char text[64];

        snprintf(text, sizeof text, "did not return within %u s", (unsigned)lister->foreign->kernel_timeout);
        return is_late(lister, text, why);
    }
    if (!came || !child_take(child->socket, answer, size)) {
        char how[CHILD_WHY_SIZE];

        child_lost(child, how);
        snprintf(why, LISTER_WHY_SIZE, "%s", how[0] != '\0' ? how : "interrupted");
        return false;
    }
    return true;
}

/* Start the process, and have it load the plug-in. */
static bool start(struct lister *lister, struct verdict *verdict, char why[LISTER_WHY_SIZE])
{
    snprintf(lister->child.whose, sizeof lister->child.whose, "%s", lister->file);
    if (!child_start(&lister->child, LISTER_NAME, lister->command)) {
        snprintf(why, LISTER_WHY_SIZE, "there is no process to load it");
        return false;
    }
    /* If it is not there to hear this, that is found when it is to answer. */
    child_put_text(lister->child.socket, lister->file);
    if (!receive(lister, verdict, sizeof *verdict, why)) {
        return false;
    }
    if (verdict->kind != ANSWER_DONE || (unsigned)verdict->status > QB_ERROR_PLUGIN || verdict->count > MOST_KERNELS ||
        memchr(verdict->why, '\0', sizeof verdict->why) == NULL) {
        return is_disturbed(lister, why);
    }
    return true;
}

/* True if TEXT is 1 to SIZE - 1 printable characters of ASCII. */
static bool is_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return length > 0 && length < size;
}

/* What the library has checked there is checked again: foreign code ran in that process. */
static bool make_kernel(const struct lister *lister, const struct description *from, struct kernel *kernel)
{
    if (!is_text(from->name, sizeof from->name) || strpbrk(from->name, " ,\"'*?[]") != NULL ||
        !is_text(from->description, sizeof from->description) || !is_text(from->backend, sizeof from->backend) ||
        qb_backend_find(from->backend) == NULL || qb_operation_name(from->operation) == NULL ||
        qb_arithmetic_validate(&from->arithmetic) != QB_OK) {
        return false;
    }
    *kernel = (struct kernel){.backend = qb_backend_find(from->backend),
                              .operation = from->operation,
                              .plugin = lister->file,
                              .arithmetic = from->arithmetic};
    memcpy(kernel->name, from->name, sizeof kernel->name);
    memcpy(kernel->description, from->description, sizeof kernel->description);
    return true;
}

/* Take the descriptions of COUNT kernels, and keep them if none has a name that is known. */
static enum qb_status take_kernels(struct lister *lister, uint64_t count, char why[LISTER_WHY_SIZE])
{
    struct kernel *kernels = calloc(count + 1, sizeof *kernels);
    enum qb_status status = kernels != NULL ? QB_OK : QB_ERROR_MEMORY;

    for (uint64_t i = 0; i < count && status == QB_OK; i++) {
        struct description description;

        if (!child_take(lister->child.socket, &description, sizeof description) ||
            !make_kernel(lister, &description, &kernels[i])) {
            is_disturbed(lister, why);
            status = QB_ERROR_PLUGIN;
        } else if (catalog_find(kernels[i].name) != NULL) {
            snprintf(why, LISTER_WHY_SIZE, "there is a kernel %s already", kernels[i].name);
            status = QB_ERROR_INVALID;
        }
    }
    for (uint64_t i = 0; i < count && status == QB_OK; i++) {
        status = catalog_add(&kernels[i]) ? QB_OK : QB_ERROR_MEMORY;
    }
    if (status == QB_ERROR_MEMORY) {
        snprintf(why, LISTER_WHY_SIZE, "out of host memory");
    }
    free(kernels);
    return status;
}

enum qb_status lister_load(struct lister *lister, char why[LISTER_WHY_SIZE])
{
    struct verdict verdict;
    enum qb_status status;

    why[0] = '\0';
    if (!start(lister, &verdict, why)) {
        return QB_ERROR_PLUGIN;
    }
    status = verdict.status;
    if (status == QB_OK) {
        status = take_kernels(lister, verdict.count, why);
    } else {
        snprintf(why, LISTER_WHY_SIZE, "%s", verdict.why);
    }
    child_end(&lister->child);
    return status;
}

bool lister_supports(struct lister *lister, const struct kernel *kernel, const struct qb_problem *problem,
                     char why[LISTER_WHY_SIZE])
{
    struct question question;
    struct verdict verdict;
    struct answer answer;

    why[0] = '\0';
    if (lister->child.pid == 0) {
        struct description ignored;

        if (!start(lister, &verdict, why)) {
            return false;
        }
        for (uint64_t i = 0; i < verdict.count; i++) {
            child_take(lister->child.socket, &ignored, sizeof ignored);
        }
    }
    memset(&question, 0, sizeof question);
    memcpy(question.kernel, kernel->name, sizeof question.kernel);
    question.problem = *problem;
    child_put(lister->child.socket, &question, sizeof question);
    if (!receive(lister, &answer, sizeof answer, why)) {
        return false;
    }
    return answer.kind == ANSWER_DONE && answer.supported <= 1 ? answer.supported == 1 : is_disturbed(lister, why);
}

void lister_end(struct lister *lister)
{
    child_end(&lister->child);
}

/* ---- The other end ---------------------------------------------------------------------------------------------- */

static void say_ready(int socket)
{
    const enum answer_kind ready = ANSWER_READY;

    child_say(socket, &ready, sizeof ready);
}

/* Load FILE, and describe its kernels, which are those after the first OWN ones. */
static void load(int socket, const char *file)
{
    const size_t own = qb_kernel_count();
    struct verdict verdict;

    memset(&verdict, 0, sizeof verdict);
    say_ready(socket);
    verdict.kind = ANSWER_DONE;
    verdict.status = shield_load(file, 0);
    verdict.count = qb_kernel_count() - own;
    snprintf(verdict.why, sizeof verdict.why, "%s", shield_why(verdict.status));
    child_say(socket, &verdict, sizeof verdict);
    for (size_t i = own; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);
        struct description description;

        memset(&description, 0, sizeof description);
        snprintf(description.name, sizeof description.name, "%s", qb_kernel_name(kernel));
        snprintf(description.description, sizeof description.description, "%s", qb_kernel_description(kernel));
        snprintf(description.backend, sizeof description.backend, "%s", qb_backend_name(qb_kernel_backend(kernel)));
        description.operation = qb_kernel_operation(kernel);
        description.arithmetic = *qb_kernel_arithmetic(kernel);
        child_say(socket, &description, sizeof description);
    }
}

/* A device of BACKEND, the first that can be opened; NULL if there is none. It is opened once. */
static struct qb_device *device_of(const struct qb_backend *backend)
{
    static struct qb_device *device;
    int count = 0;

    if (device != NULL && qb_device_backend(device) == backend) {
        return device;
    }
    qb_device_close(device);
    device = NULL;
    if (qb_backend_device_count(backend, &count) == QB_OK) {
        for (int i = 0; i < count && qb_device_open(backend, i, &device) != QB_OK; i++) {
            device = NULL;
        }
    }
    return device;
}

static void answer_question(int socket, const struct question *question)
{
    struct answer answer = {ANSWER_DONE, 0};

    for (size_t i = 0; i < qb_kernel_count(); i++) {
        const struct qb_kernel *kernel = qb_kernel_at(i);

        if (strcmp(qb_kernel_name(kernel), question->kernel) == 0) {
            struct qb_device *device = device_of(qb_kernel_backend(kernel));

            say_ready(socket);
            answer.supported = device != NULL && qb_kernel_supports(kernel, device, &question->problem);
            child_say(socket, &answer, sizeof answer);
            return;
        }
    }
    _exit(EXIT_CANNOT_RUN); /* the plug-in is another one now */
}

void lister_main(char **argv)
{
    int socket = child_begin(argv, LISTER_NAME);
    struct question question;
    char *file;

    if (socket < 0) {
        return;
    }
    message_init(true, false);
    message_follow_other();
    file = child_take_text(socket);
    if (file != NULL) {
        load(socket, file);
        while (child_take(socket, &question, sizeof question)) {
            answer_question(socket, &question);
        }
    }
    /* Foreign code has no say in how the process ends, and the system takes back what it holds. */
    fflush(NULL);
    _exit(EXIT_OK);
}
