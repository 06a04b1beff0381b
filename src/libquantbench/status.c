/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - enum qb_status and its texts. */
#include <config.h>

#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

/* One text for each thread, so that threads cannot read or tear each other's. */
static _Thread_local char detail[512];

const char *qb_version(void)
{
    return PACKAGE_VERSION;
}

const char *qb_strerror(enum qb_status status)
{
    switch (status) {
    case QB_OK:
        return "success";
    case QB_ERROR_INVALID:
        return "invalid argument";
    case QB_ERROR_UNSUPPORTED:
        return "not supported";
    case QB_ERROR_NO_DEVICE:
        return "no such device";
    case QB_ERROR_MEMORY:
        return "out of memory";
    case QB_ERROR_DEVICE:
        return "device error";
    case QB_ERROR_WORKSPACE:
        return "workspace too small";
    case QB_ERROR_FILE:
        return "cannot read the file";
    case QB_ERROR_PLUGIN:
        return "the plug-in's kernel failed";
    case QB_ERROR_ENVIRONMENT:
        return "the plug-in's kernel changed the floating-point environment";
    case QB_ERROR_REFERENCE:
        return "the reference does not compute the contract";
    }
    return "unknown status";
}

const char *qb_error_detail(void)
{
    return detail;
}

enum qb_status qb__fail(enum qb_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    return status;
}
