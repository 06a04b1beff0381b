# SPDX-License-Identifier: Apache-2.0
# include.awk - a manual page from its template: @NAME@ becomes what make knows by that name, and a line "@INCLUDE FILE@"
# the text of FILE, in which nothing is a macro or an escape.

BEGIN {
    value["RELEASE_DATE"] = date
    value["PACKAGE_VERSION"] = version
    value["docdir"] = docdir
    value["libdir"] = libdir
}

/^@INCLUDE / {
    file = top "/" substr($2, 1, length($2) - 1)
    while ((status = (getline line < file)) > 0) {
        gsub(/\\/, "\\e", line)
        gsub(/-/, "\\-", line)
        gsub(/'/, "\\(aq", line)
        gsub(/\t/, "        ", line)
        print substr(line, 1, 1) == "." ? "\\&" line : line
    }
    if (status < 0) {
        print "include.awk: " file ": it cannot be read" | "cat >&2"
        exit 1
    }
    next
}

{
    for (name in value)
        gsub("@" name "@", value[name])
    print
}
