# SPDX-License-Identifier: Apache-2.0
# options.awk - the completion of a shell, from the table of options and the table of values.
#
#   awk -v shell=bash|zsh|fish -f options.awk values args.c TEMPLATE
#
# writes TEMPLATE with the line @OPTIONS@ replaced by a line or two for each option.

# A row of the table, {OPT_NAME, "name", "VALUE", "help"}, to what the shells need. An option without a value has NULL for
# it; a string may be in several pieces.
function read_row(row,    id, strings, pieces, i) {
    match(row, /OPT_[A-Z_0-9]*/)
    id = substr(row, RSTART, RLENGTH)
    if (id == "OPT_HEADING")
        return
    n++
    short[n] = letter[id]
    sub(/", *NULL,/, "\", \"\",", row)
    while (match(row, /"([^"\\]|\\.)*"/)) {
        strings[++pieces] = substr(row, RSTART + 1, RLENGTH - 2)
        row = substr(row, RSTART + RLENGTH)
    }
    name[n] = strings[1]
    value[n] = strings[2]
    list[n] = sub(/\.\.\.$/, "", value[n])
    help[n] = ""
    for (i = 3; i <= pieces; i++)
        help[n] = help[n] strings[i]
    # What --help puts in from the table of formats is left out.
    sub(/^%s\\n/, "format ", help[n])
    gsub(/\\n%s,/, "", help[n])
    gsub(/\\n/, " ", help[n])
    gsub(/\\"/, "'", help[n])
}

# What completes the value of option I: words, @files, or nothing.
function choices(i) {
    if (value[i] ~ /FILE$/)
        return "@files"
    return words[name[i]] == "-" ? "" : words[name[i]]
}

function bash_options(    i, all, flags) {
    for (i = 1; i <= n; i++)
        all = all " --" name[i] (value[i] != "" ? "=" : "")
    print "    options='" substr(all, 2) "'"
    print "    case $option in"
    for (i = 1; i <= n; i++)
        if (value[i] != "")
            printf "    --%s) choices='%s' list=%s ;;\n", name[i], choices(i), list[i] ? "yes" : "no"
    print "    esac"
}

# The characters that _arguments gives a meaning.
function zsh_quoted(text) {
    gsub(/'/, "'\\''", text)
    gsub(/\[/, "\\[", text)
    gsub(/\]/, "\\]", text)
    gsub(/:/, "\\:", text)
    return text
}

function zsh_options(    i, what, action) {
    for (i = 1; i <= n; i++) {
        what = choices(i)
        # Behind a space _arguments calls what it is told to, without words of its own.
        if (what == "@files")
            action = value[i] == "FILE" ? "_files" : " _quantbench_output"
        else
            action = " _quantbench_values " (list[i] ? "yes " : "no ") zsh_quoted(what)
        printf "    '%s--%s%s[%s]%s' \\\n", short[i] != "" ? "(-" short[i] " --" name[i] ")" : "", name[i],
            value[i] != "" ? "=" : "", zsh_quoted(help[i]),
            value[i] != "" ? ":" zsh_quoted(value[i]) ":" (what == "" ? " " : action) : ""
        if (short[i] != "")
            printf "    '(-%s --%s)-%s[%s]' \\\n", short[i], name[i], short[i], zsh_quoted(help[i])
    }
}

function fish_options(    i, what, text) {
    for (i = 1; i <= n; i++) {
        what = choices(i)
        text = help[i]
        gsub(/[\\']/, "\\\\&", text)
        printf "complete -c quantbench%s -l %s", short[i] != "" ? " -s " short[i] : "", name[i]
        if (value[i] != "" && what == "@files")
            printf " -r -F"
        else if (value[i] != "")
            printf " -x%s", what == "" ? "" : " -a '(__quantbench_values " (list[i] ? "yes " : "no ") what ")'"
        printf " -d '%s'\n", text
    }
}

# The first file is the table of values, the second args.c, the third the template.
FNR == 1 { file++ }
file == 1 && /^[a-z]/ {
    option = $1
    sub(/^[^ ]+ +/, "")
    words[option] = $0
}
file == 2 && /^ *OPT_[A-Z_]* = '.'/ {
    match($0, /'.'/)
    letter[$1] = substr($0, RSTART + 1, 1)
}
file == 2 && /^ *\{OPT_/ { row = "" ; in_row = 1 }
file == 2 && in_row {
    row = row $0
    if (/\},$/) {
        read_row(row)
        in_row = 0
    }
}
file == 3 && /^ *@OPTIONS@$/ {
    if (shell == "bash") bash_options()
    else if (shell == "zsh") zsh_options()
    else fish_options()
    next
}
file == 3 { print }
