/* SPDX-License-Identifier: Apache-2.0 */
/* fake_nvml.c - stands in for NVIDIA's management library. It knows the device 0000:01:00.0 alone. FAKE_NVML=broken
 * in the environment makes it fail in every question. As with drivers of some age, not every name is there. */
#include <stdlib.h>
#include <string.h>

/* NVIDIA's names and types, as its documentation has them. */
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device);
int nvmlDeviceGetClockInfo(void *device, unsigned which, unsigned *clock);
int nvmlDeviceGetMaxClockInfo(void *device, unsigned which, unsigned *clock);
int nvmlDeviceGetTemperature(void *device, unsigned which, unsigned *temperature);
int nvmlDeviceGetPowerUsage(void *device, unsigned *power);
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *limit);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy);
int nvmlDeviceGetPerformanceState(void *device, unsigned *state);
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons);
int nvmlDeviceGetSupportedClocksThrottleReasons(void *device, unsigned long long *reasons);
int nvmlDeviceGetPersistenceMode(void *device, unsigned *mode);
int nvmlDeviceGetEccMode(void *device, unsigned *current, unsigned *pending);
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending);
int nvmlDeviceGetComputeMode(void *device, unsigned *mode);
int nvmlDeviceGetUtilizationRates(void *device, unsigned rates[2]);
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *width);
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *width);
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, void *processes);

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

static int opened;
static char only;

static int is_broken(void)
{
    const char *fake = getenv("FAKE_NVML");

    return fake != NULL && strcmp(fake, "broken") == 0;
}

/* The answer NUMBER to a question about DEVICE. */
static int answer(const void *device, unsigned *to, unsigned number)
{
    if (opened <= 0 || device != &only || is_broken()) {
        return NOT_SUPPORTED;
    }
    *to = number;
    return SUCCESS;
}

static int answer_large(const void *device, unsigned long long *to, unsigned long long number)
{
    unsigned ignored;
    int result = answer(device, &ignored, 0);

    *to = result == SUCCESS ? number : *to;
    return result;
}

int nvmlInit_v2(void)
{
    opened++;
    return SUCCESS;
}

int nvmlShutdown(void)
{
    opened--;
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
    strncpy(text, "580.95.05", size);
    return is_broken() ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device)
{
    *device = &only;
    return opened > 0 && strcmp(pci, "0000:01:00.0") == 0 ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetClockInfo(void *device, unsigned which, unsigned *clock)
{
    return which == 1 ? answer(device, clock, 1755) : which == 2 ? answer(device, clock, 3201) : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxClockInfo(void *device, unsigned which, unsigned *clock)
{
    return which == 1 ? answer(device, clock, 1980) : NOT_SUPPORTED;
}

int nvmlDeviceGetTemperature(void *device, unsigned which, unsigned *temperature)
{
    return which == 0 ? answer(device, temperature, 61) : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *power)
{
    return answer(device, power, 512345);
}

int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *limit)
{
    return answer(device, limit, 700000);
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy)
{
    return answer_large(device, energy, 1ull << 40);
}

int nvmlDeviceGetPerformanceState(void *device, unsigned *state)
{
    return answer(device, state, 2);
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons)
{
    /* Idle, which is not throttling, and the cap of the power. */
    return answer_large(device, reasons, 0x5);
}

int nvmlDeviceGetSupportedClocksThrottleReasons(void *device, unsigned long long *reasons)
{
    return answer_large(device, reasons, 0x6D);
}

int nvmlDeviceGetPersistenceMode(void *device, unsigned *mode)
{
    return answer(device, mode, 1);
}

int nvmlDeviceGetEccMode(void *device, unsigned *current, unsigned *pending)
{
    return answer(device, pending, 0) == SUCCESS ? answer(device, current, 1) : NOT_SUPPORTED;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    return answer(device, pending, 1) == SUCCESS ? answer(device, current, 0) : NOT_SUPPORTED;
}

int nvmlDeviceGetComputeMode(void *device, unsigned *mode)
{
    return answer(device, mode, 3);
}

int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *width)
{
    return answer(device, width, 8);
}

int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *width)
{
    return answer(device, width, 16);
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned rates[2])
{
    return answer(device, rates, 7);
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, void *processes)
{
    return processes == NULL && answer(device, count, 3) == SUCCESS ? INSUFFICIENT_SIZE : NOT_SUPPORTED;
}
