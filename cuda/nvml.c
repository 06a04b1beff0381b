/* SPDX-License-Identifier: Apache-2.0 */
/* nvml.c - see nvml.h. The few declarations that are needed of NVIDIA's interface are written out here, as its header
 * is not in every toolkit; its names, numbers and layouts are promised not to change. */
#include <config.h>

#include "nvml.h"

#include <dlfcn.h>
#include <stdlib.h>

/* ---- NVIDIA's interface ----------------------------------------------------------------------------------------- */

typedef void *nvml_device;

enum { NVML_SUCCESS = 0, NVML_INSUFFICIENT_SIZE = 7 };
enum { NVML_CLOCK_SM = 1, NVML_CLOCK_MEM = 2 };
enum { NVML_TEMPERATURE_GPU = 0 };

struct nvml_utilization {
    unsigned gpu;
    unsigned memory;
};

struct nvml_process {
    unsigned pid;
    unsigned long long used_memory;
    unsigned gpu_instance;
    unsigned compute_instance;
};

typedef int nvml_get_number(nvml_device device, unsigned *number);
typedef int nvml_get_two(nvml_device device, unsigned *current, unsigned *pending);
typedef int nvml_get_large(nvml_device device, unsigned long long *number);
typedef int nvml_get_clock(nvml_device device, unsigned which, unsigned *number);

struct qb__nvml {
    void *library;
    nvml_device device;
    int (*shutdown)(void);
};

/* The function NAME, or its FALLBACK of older drivers, in *FUNCTION, which is a pointer to it; false if there is
 * neither. POSIX makes a function's address fit in a void pointer; ISO C has no cast for it. */
static bool find(const struct qb__nvml *nvml, const char *name, const char *fallback, void *function)
{
    void *symbol = nvml != NULL ? dlsym(nvml->library, name) : NULL;

    if (symbol == NULL && nvml != NULL && fallback != NULL) {
        symbol = dlsym(nvml->library, fallback);
    }
    *(void **)function = symbol;
    return symbol != NULL;
}

struct qb__nvml *qb__nvml_open(const char *pci)
{
    struct qb__nvml opened = {.library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL)};
    struct qb__nvml *nvml = NULL;
    int (*init)(void), (*by_pci)(const char *, nvml_device *);

    if (opened.library == NULL) {
        return NULL;
    }
    if (find(&opened, "nvmlInit_v2", NULL, &init) && find(&opened, "nvmlShutdown", NULL, &opened.shutdown) &&
        find(&opened, "nvmlDeviceGetHandleByPciBusId_v2", NULL, &by_pci) && init() == NVML_SUCCESS) {
        if (by_pci(pci, &opened.device) == NVML_SUCCESS) {
            nvml = malloc(sizeof *nvml);
        }
        if (nvml != NULL) {
            *nvml = opened;
            return nvml;
        }
        opened.shutdown();
    }
    dlclose(opened.library);
    return NULL;
}

void qb__nvml_close(struct qb__nvml *nvml)
{
    if (nvml != NULL) {
        nvml->shutdown();
        dlclose(nvml->library);
        free(nvml);
    }
}

/* ---- Numbers; NAN where the device or the driver does not know -------------------------------------------------- */

static double get_number(const struct qb__nvml *nvml, const char *name)
{
    nvml_get_number *function;
    unsigned number;

    return find(nvml, name, NULL, &function) && function(nvml->device, &number) == NVML_SUCCESS ? number : NAN;
}

/* What is now, of a setting that also has a value for after the next start. */
static double get_current(const struct qb__nvml *nvml, const char *name)
{
    nvml_get_two *function;
    unsigned current, pending;

    return find(nvml, name, NULL, &function) && function(nvml->device, &current, &pending) == NVML_SUCCESS ? current
                                                                                                           : NAN;
}

static double get_clock(const struct qb__nvml *nvml, const char *name, unsigned which)
{
    nvml_get_clock *function;
    unsigned number;

    return find(nvml, name, NULL, &function) && function(nvml->device, which, &number) == NVML_SUCCESS ? number : NAN;
}

/* A mask of reasons; false if unknown. */
static bool get_large(const struct qb__nvml *nvml, const char *name, const char *fallback, unsigned long long *number)
{
    nvml_get_large *function;

    return find(nvml, name, fallback, &function) && function(nvml->device, number) == NVML_SUCCESS;
}

/* ---- Conditions ------------------------------------------------------------------------------------------------- */

/* Other reasons of NVIDIA's do not throttle: an idle device, and clocks that a user has chosen. */
static unsigned throttle_of(unsigned long long reasons)
{
    static const struct {
        unsigned long long theirs;
        unsigned ours;
    } table[] = {
        {0x04, QB_THROTTLE_POWER_CAP}, {0x08, QB_THROTTLE_HW_SLOWDOWN}, {0x10, QB_THROTTLE_SYNC_BOOST},
        {0x20, QB_THROTTLE_THERMAL},   {0x40, QB_THROTTLE_HW_THERMAL},  {0x80, QB_THROTTLE_POWER_BRAKE},
    };
    unsigned throttle = 0;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (reasons & table[i].theirs) {
            throttle |= table[i].ours;
        }
    }
    return throttle;
}

void qb__nvml_conditions(const struct qb__nvml *nvml, struct qb_device_conditions *conditions)
{
    unsigned long long reasons = 0, known = 0, energy = 0;
    double state = get_number(nvml, "nvmlDeviceGetPerformanceState");
    bool has_reasons = get_large(nvml, "nvmlDeviceGetCurrentClocksEventReasons",
                                 "nvmlDeviceGetCurrentClocksThrottleReasons", &reasons);

    if (has_reasons && !get_large(nvml, "nvmlDeviceGetSupportedClocksEventReasons",
                                  "nvmlDeviceGetSupportedClocksThrottleReasons", &known)) {
        known = ~0ull;
    }
    *conditions = (struct qb_device_conditions){
        .clock = get_clock(nvml, "nvmlDeviceGetClockInfo", NVML_CLOCK_SM),
        .memory_clock = get_clock(nvml, "nvmlDeviceGetClockInfo", NVML_CLOCK_MEM),
        .power = get_number(nvml, "nvmlDeviceGetPowerUsage"),
        .energy = get_large(nvml, "nvmlDeviceGetTotalEnergyConsumption", NULL, &energy) ? (double)energy : NAN,
        .temperature = get_clock(nvml, "nvmlDeviceGetTemperature", NVML_TEMPERATURE_GPU),
        .performance_state = state <= 15 ? (int)state : -1, /* 32 is NVIDIA's word for unknown */
        .throttle = throttle_of(reasons),
        .throttle_known = throttle_of(reasons | known),
    };
}

/* ---- Facts ------------------------------------------------------------------------------------------------------ */

void qb__nvml_driver_version(const struct qb__nvml *nvml, char *text, unsigned size)
{
    int (*function)(char *text, unsigned size);

    if (!find(nvml, "nvmlSystemGetDriverVersion", NULL, &function) || function(text, size) != NVML_SUCCESS) {
        *text = '\0';
    }
}

/* One of WORDS, of which there are COUNT; NULL: unknown. */
static const char *word(double number, const char *const words[], size_t count)
{
    return number >= 0 && number < (double)count ? words[(size_t)number] : NULL;
}

static const char *on_or_off(double number)
{
    static const char *const words[] = {"off", "on"};

    return word(number, words, 2);
}

/* The device is in use by us, so the list has our own process; in a container it may be there under another number, or
 * the list is empty because nothing can be seen. */
static double other_processes(const struct qb__nvml *nvml)
{
    int (*function)(nvml_device device, unsigned *count, struct nvml_process *processes);
    unsigned count = 0;
    int error;

    if (!find(nvml, "nvmlDeviceGetComputeRunningProcesses_v3", NULL, &function)) {
        return NAN;
    }
    error = function(nvml->device, &count, NULL);
    return (error == NVML_SUCCESS || error == NVML_INSUFFICIENT_SIZE) && count > 0 ? count - 1 : NAN;
}

/* Percent of the last moments in which a kernel ran; none of ours do while somebody asks for facts. */
static double utilization(const struct qb__nvml *nvml)
{
    int (*function)(nvml_device device, struct nvml_utilization * utilization);
    struct nvml_utilization now;

    return find(nvml, "nvmlDeviceGetUtilizationRates", NULL, &function) && function(nvml->device, &now) == NVML_SUCCESS
               ? now.gpu
               : NAN;
}

void qb__nvml_facts(const struct qb__nvml *nvml, struct qb__facts *facts)
{
    static const char *const compute_modes[] = {"default", "exclusive thread", "prohibited", "exclusive process"};

    qb__facts_add(facts, "nvml", nvml != NULL ? "on" : "off");
    qb__facts_add(facts, "persistence", on_or_off(get_number(nvml, "nvmlDeviceGetPersistenceMode")));
    qb__facts_add(facts, "ecc", on_or_off(get_current(nvml, "nvmlDeviceGetEccMode")));
    qb__facts_add(facts, "mig", on_or_off(get_current(nvml, "nvmlDeviceGetMigMode")));
    qb__facts_add(facts, "compute_mode", word(get_number(nvml, "nvmlDeviceGetComputeMode"), compute_modes, 4));
    qb__facts_add_number(facts, "clock_max_mhz", get_clock(nvml, "nvmlDeviceGetMaxClockInfo", NVML_CLOCK_SM));
    qb__facts_add_number(facts, "memory_clock_max_mhz", get_clock(nvml, "nvmlDeviceGetMaxClockInfo", NVML_CLOCK_MEM));
    qb__facts_add_number(facts, "application_clock_mhz",
                         get_clock(nvml, "nvmlDeviceGetApplicationsClock", NVML_CLOCK_SM));
    qb__facts_add_number(facts, "power_limit_mw", get_number(nvml, "nvmlDeviceGetPowerManagementLimit"));
    qb__facts_add_number(facts, "power_limit_default_mw", get_number(nvml, "nvmlDeviceGetPowerManagementDefaultLimit"));
    /* The width, unlike the generation, does not change when the device is idle. */
    qb__facts_add_number(facts, "pcie_width", get_number(nvml, "nvmlDeviceGetCurrPcieLinkWidth"));
    qb__facts_add_number(facts, "pcie_width_max", get_number(nvml, "nvmlDeviceGetMaxPcieLinkWidth"));
    qb__facts_add_number(facts, "pcie_generation_max", get_number(nvml, "nvmlDeviceGetMaxPcieLinkGeneration"));
    qb__facts_add_number(facts, "utilization_percent", utilization(nvml));
    qb__facts_add_number(facts, "other_processes", other_processes(nvml));
}
