# SPDX-License-Identifier: Apache-2.0
# quote.awk - README with the reports that it quotes as they are rendered from their records today.
#
#   awk -v quantbench=PROGRAM -v top=DIR -f quote.awk README
#
# A line that ends with doc/records/NAME.json and a colon announces a report: what is indented behind it is replaced.

# With the indentation that the report gets here it fits into 80 columns.
function print_report(record,    command, line) {
    command = "COLUMNS=76 \"" quantbench "\" --report=\"" top "/" record "\""
    print ""
    while ((command | getline line) > 0)
        print line == "" ? "" : "    " line
    if (close(command) != 0)
        exit failed = 1
}

quoting && /^(    .*)?$/ { next }
quoting { print ""; quoting = 0 }
{ print }
match($0, /doc\/records\/[a-z0-9]+\.json:$/) {
    print_report(substr($0, RSTART, RLENGTH - 1))
    quoting = 1
}
END { exit failed }
