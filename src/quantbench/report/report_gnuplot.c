/* SPDX-License-Identifier: Apache-2.0 */
/* report_gnuplot.c - the picture that suits a record best, as a gnuplot script, which its reader can run and change. */
#include <config.h>

#include "report/picture.h"
#include "report/report.h"

enum exit_code report_gnuplot(const struct record *record, FILE *stream)
{
    const enum picture_kind kind = picture_choose(record);
    const char *lack = picture_lack(record, kind);

    if (lack != NULL) {
        fprintf(stream, "# There is no picture: the record lacks %s.\n", lack);
    } else if (!picture_write(record, kind, PICTURE_SCRIPT, 0, stream)) {
        report_lacks_memory();
    }
    return EXIT_OK;
}
