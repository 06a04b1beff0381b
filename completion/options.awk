# SPDX-License-Identifier: Apache-2.0
# options.awk - the completion of a shell, from the tables of options, of formats and of values.
#
#   awk -v shell=bash|zsh|fish -f .../libquantbench/formats.awk -f options.awk values formats.h ... options.c TEMPLATE
#
# writes TEMPLATE with the line @OPTIONS@ replaced by a line or two for each option.

# The strings of C in TEXT, with SEPARATOR between them.
function strings(text, separator,    all, count) {
    while (match(text, /"([^"\\]|\\.)*"/)) {
        all = all (count++ ? separator : "") substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
    }
    return all
}

# The text after the first TEXT in ROW up to what ends a value: ".name = " to "num-tokens".
function member(row, text,    at) {
    at = index(row, text)
    if (!at)
        return ""
    row = substr(row, at + length(text))
    match(row, /^("([^"\\]|\\.)*" *)+/)
    if (RLENGTH > 0)
        return strings(substr(row, 1, RLENGTH), "")
    match(row, /^('.'|[A-Za-z_0-9]+)/)
    return substr(row, 1, RLENGTH)
}

# An array of words, as completion has them: a part that a user fills in is left out, and group:G is group:.
function read_words(text,    name) {
    match(text, /[a-z_]+\[\]/)
    name = substr(text, RSTART, RLENGTH - 2)
    text = strings(substr(text, index(text, "{")), " ")
    array[name] = text
    gsub(/:[A-Za-z]+/, ":", text)
    completed[name] = text
}

# Take the format that was read into the words of KIND.
function add_format(kind,    aliases) {
    array[kind] = array[kind] (array[kind] != "" ? " " : "") format["name"]
    completed[kind] = array[kind]
    split(format["aliases"], aliases, " ")
    alias[kind] = alias[kind] (alias[kind] != "" ? ", " : "") aliases[1]
}

# A row of the table of options to what the shells need.
function read_row(row,    source, shown) {
    n++
    name[n] = member(row, ".name = ")
    value[n] = member(row, ".value = ")
    list[n] = sub(/\.\.\.$/, "", value[n])
    optional[n] = member(row, ".is_optional = ") == "true"
    short[n] = substr(member(row, ".letter = "), 2, 1)
    source = member(row, ".words = ") member(row, ".word = ")
    if (source in completed && value[n] != "")
        words[name[n]] = words[name[n]] (words[name[n]] != "" ? " " : "") completed[source]
    shown = source in array ? array[source] : words[name[n]]
    gsub(/ /, ", ", shown)
    help[n] = member(row, ".help = ")
    # Where the words are not known here, they are left out.
    if (shown == "")
        sub(/%w, /, "", help[n])
    sub(/%w/, shown, help[n])
    sub(/%a/, alias[source], help[n])
    sub(/%d/, member(row, ".fallback = "), help[n])
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
        # After a space _arguments calls what it is told to, without words of its own.
        if (what == "@files")
            action = value[i] == "FILE" ? "_files" : " _quantbench_output"
        else
            action = " _quantbench_values " (list[i] ? "yes " : "no ") zsh_quoted(what)
        printf "    '%s--%s%s[%s]%s' \\\n", short[i] != "" ? "(-" short[i] " --" name[i] ")" : "", name[i],
            value[i] == "" ? "" : optional[i] ? "=-" : "=", zsh_quoted(help[i]),
            value[i] != "" ? (optional[i] ? "::" : ":") zsh_quoted(value[i]) ":" (what == "" ? " " : action) : ""
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

# The last file is the template.
FILENAME == ARGV[1] {
    if (/^[a-z]/) {
        option = $1
        sub(/^[^ ]+ +/, "")
        words[option] = $0
    }
    next
}
FILENAME != ARGV[ARGC - 1] {
    if (read_format($0)) {
        if (format["is_input"] == "true") add_format("input_word")
        if (format["is_output"] == "true") add_format("output_word")
    }
    # Rows and arrays in several lines are joined.
    if (/^(static )?const char \*const [a-z_]+\[\] = /) { text = ""; reading = "words" }
    else if (/^ *\{\.(name|letter) = /) { text = ""; reading = "row" }
    sub(/^ +/, "")
    text = text $0
    if (reading == "words" && /\};$/) { read_words(text); reading = "" }
    else if (reading == "row" && /\},$/) { read_row(text); reading = "" }
    next
}
/^ *@OPTIONS@$/ {
    if (shell == "bash") bash_options()
    else if (shell == "zsh") zsh_options()
    else fish_options()
    next
}
{ print }
