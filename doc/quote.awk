# SPDX-License-Identifier: Apache-2.0
# quote.awk - a Markdown page with the reports that it quotes as they are rendered from their records today.
#
#   awk -v quantbench=PROGRAM -v top=DIR -f quote.awk README.md
#
# The comment "<!-- doc/records/NAME.json: all -->" announces a report, which replaces the code block after it. With
# words in place of "all", only the lines of the report with these labels, and their continuation lines, are quoted.

# Print the report of RECORD, whose lines fit into 80 columns; of those with a label only those that LABELS has.
function print_report(record, labels,    command, line, quoted) {
    command = "COLUMNS=80 \"" quantbench "\" --report=\"" top "/" record "\""
    while ((command | getline line) > 0) {
        if (line !~ /^ /)
            quoted = labels == " all " || index(labels, " " substr(line, 1, match(line " ", / /)))
        if (quoted)
            print line
    }
    if (close(command) != 0)
        exit failed = 1
}

quoting && $0 != "```" { next }
{ print }
quoting { quoting = 0 }
record && $0 == "```" {
    print_report(record, labels)
    record = ""
    quoting = 1
}
/^<!-- doc\/records\/[a-z0-9]+\.json: .* -->$/ {
    record = substr($2, 1, length($2) - 1)
    labels = substr($0, index($0, ": ") + 1)
    sub(/-->$/, "", labels)
}
END { exit failed || quoting || record != "" }
