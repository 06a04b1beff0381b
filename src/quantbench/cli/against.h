/* SPDX-License-Identifier: Apache-2.0 */
/* against.h - the codes of a checkpoint next to those that quantbench makes of the same tensor. */
#ifndef AGAINST_H
#define AGAINST_H

#include "model/settings.h"

/* --against: the quality of the codes in that file, of ours in the same format, and of ours as SWEEP asks for, on
 * standard output in FORMAT, text or JSON. */
enum exit_code against(const struct sweep *sweep, const struct report_format *format);

#endif
