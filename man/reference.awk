# SPDX-License-Identifier: Apache-2.0
# reference.awk - a manual page of the library from its template and the declarations and comments of quantbench.h.
#
#   awk -v version=VERSION -v date=DATE -v docdir=DIR -f reference.awk quantbench.h TEMPLATE
#
# The template's line  .\" TAKES: REGEXP  says which functions, types and macros the page is about. In it @NAMES@ stands
# for the names of those functions, @SYNOPSIS@ for their declarations, @TYPES@ for the types, with what is said of each
# member, and @FUNCTIONS@ for what is said of the functions.

# ---- The header ----------------------------------------------------------------------------------------------------

# The words of a comment's line.
function comment_text(line) {
    sub(/ *\*\/ *$/, "", line)
    sub(/^ *\/?\*+ ?/, "", line)
    return line
}

# A declaration is complete: its name, its kind, and the comment above it. Declarations that follow each other share it.
function add_declaration(text,    head) {
    n++
    declaration[n] = text
    comment[n] = said
    new_comment[n] = said_is_new
    said_is_new = 0
    head = text
    if (text ~ /^(struct|enum) [a-z0-9_]+ \{/) {
        kind[n] = "type"
        sub(/ \{.*/, "", head)
        sub(/^(struct|enum) /, "", head)
    } else if (text ~ /^(struct|enum) [a-z0-9_]+;/) {
        kind[n] = "type"
        sub(/;.*/, "", head)
        sub(/^(struct|enum) /, "", head)
    } else {
        kind[n] = "function"
        sub(/\(.*/, "", head)
        sub(/.*[ *]/, "", head)
    }
    name[n] = head
}

FNR == 1 { file++ }
file == 1 && /^#ifdef __cplusplus/ { inside = 1 }
file == 1 && /^\/\* ---- / { said = ""; said_is_new = 0; next }
file == 1 && !inside { next }
# A macro may go on.
file == 1 && (continued || /^#define/) {
    continued = /\\$/
    next
}
file == 1 && /^#endif|^#ifdef|^extern|^}$|^ +QB_PLUGIN|^ +const struct qb_plugin q/ { next }
file == 1 && in_comment {
    said = said "\n" comment_text($0)
    in_comment = !/\*\//
    next
}
file == 1 && body == "" && /^\/\*/ {
    said = comment_text($0)
    said_is_new = 1
    in_comment = !/\*\//
    next
}
file == 1 && body == "" && /^$/ { said = ""; said_is_new = 0; next }
file == 1 {
    body = body == "" ? $0 : body "\n" $0
    if ((body ~ /^(struct|enum) [a-z0-9_]+ \{/) ? /^};/ : /;( *\/\*.*\*\/)?$/) {
        add_declaration(body)
        body = ""
    }
    next
}

# ---- The page ------------------------------------------------------------------------------------------------------

# TEXT for roff, its paragraphs beginning with the macro PARAGRAPH: what the header names in bold, each sentence on a
# line of its own, folded. A paragraph of the comment is a paragraph here, and so is what begins with a word and a colon.
# An indented line that begins with a word and two spaces is an item of a list, with the lines below it up to an empty
# one.
function paragraphs(text, paragraph,    parts, count, i, out) {
    gsub(/\n\n/, "\001", text)
    while (match(text, /\n  [A-Za-z0-9_]+  /))
        text = substr(text, 1, RSTART - 1) "\001\002" substr(text, RSTART + 3)
    while (match(text, /\n[A-Z][a-z]+: /))
        text = substr(text, 1, RSTART - 1) "\001" substr(text, RSTART + 1)
    gsub(/\n/, " ", text)
    count = split(text, parts, "\001")
    for (i = 1; i <= count; i++) {
        if (sub(/^\002/, "", parts[i])) {
            match(parts[i], /^[A-Za-z0-9_]+/)
            out = out "\n.TP 8\n.B " substr(parts[i], 1, RLENGTH) "\n" fold(bold(substr(parts[i], RLENGTH + 1)))
        } else {
            out = out (i > 1 ? "\n" paragraph "\n" : "") fold(bold(parts[i]))
        }
    }
    return out
}
function bold(text,    out) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    while (match(text, /(struct |enum )?(qb_[a-z0-9_]+|QB_[A-Z0-9_]+)/)) {
        out = out substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART, RLENGTH) "\\fP"
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}
# Lines of at most 78 characters, none of which begins with a control character of roff.
function fold(text,    words, count, i, line, out) {
    count = split(text, words, " ")
    for (i = 1; i <= count; i++) {
        if (line != "" && (length(line) + length(words[i]) > 76 || (line ~ /[.:;]$/ && words[i] ~ /^(\\fB)?[A-Z]/))) {
            out = out line "\n"
            line = ""
        }
        if (line == "" && words[i] ~ /^[.']/)
            words[i] = "\\&" words[i]
        line = line (line == "" ? "" : " ") words[i]
    }
    return out line
}

# A declaration in bold, folded after a comma, or after its bracket, so that it fits into 80 columns.
function print_prototype(text,    fitting) {
    sub(/; *\/\*.*/, ";", text)
    gsub(/\n */, " ", text)
    while (length(text) > 71) {
        if (!match(substr(text, 1, 71), /.*, /) && !match(text, /.*\(/))
            break
        fitting = substr(text, 1, RLENGTH)
        sub(/ $/, "", fitting)
        print ".B \"" fitting "\""
        text = "    " substr(text, RLENGTH + 1)
    }
    print ".B \"" text "\""
}

# An item of a list; one without words is a name alone.
function print_item(term, text) {
    gsub(/-/, "\\-", term)
    print ".TP\n.B \"" term "\""
    print text == "" ? "\\&" : paragraphs(text, ".IP")
}

# The members of a type, each with its comment, which stands after it or above it.
function print_members(text,    lines, count, i, line, above, behind) {
    count = split(text, lines, "\n")
    above = ""
    for (i = 2; i < count; i++) {
        line = lines[i]
        sub(/^ +/, "", line)
        if (line ~ /^\/\*/ || (above_open && line ~ /^\*/)) {
            if (line ~ /^\/\*/)
                above = ""
            above = above (above == "" ? "" : "\n") comment_text(line)
            above_open = line !~ /\*\/$/
            continue
        }
        if (line == "")
            continue
        # A function pointer may go on in the next line.
        while (line !~ /[;,] *(\/\*.*)?$/ && i < count - 1) {
            i++
            sub(/^ +/, "", lines[i])
            line = line " " lines[i]
        }
        behind = ""
        if (match(line, /\/\*.*/)) {
            behind = comment_text(substr(line, RSTART))
            line = substr(line, 1, RSTART - 1)
        }
        sub(/[;,] *$/, "", line)
        print_item(line, behind != "" ? behind : above)
        above = ""
    }
}

function print_types(    i, behind) {
    for (i = 1; i <= n; i++) {
        if (!taken[i] || kind[i] != "type")
            continue
        match(declaration[i], /^(struct|enum) [a-z0-9_]+/)
        if (declaration[i] !~ /\{/) {
            # A type that only the library can look into.
            behind = declaration[i]
            sub(/.*\/\*/, "/*", behind)
            print_item(substr(declaration[i], RSTART, RLENGTH), comment_text(behind))
            continue
        }
        print ".SS \"" substr(declaration[i], RSTART, RLENGTH) "\""
        if (comment[i] != "")
            print paragraphs(comment[i], ".PP")
        print_members(declaration[i])
    }
}

function print_functions(    i, j) {
    for (i = 1; i <= n; i++) {
        if (!taken[i] || kind[i] != "function" || (!new_comment[i] && comment[i] != ""))
            continue
        print ".TP\n.BR " name[i] " ()"
        for (j = i + 1; j <= n && !new_comment[j] && comment[j] == comment[i]; j++)
            if (taken[j] && kind[j] == "function" && comment[i] != "")
                print ".TQ\n.BR " name[j] " ()"
        print comment[i] == "" ? "\\&" : paragraphs(comment[i], ".IP")
    }
}

file == 2 && /^\.\\" TAKES: / {
    pattern = "^(" substr($0, length(".\\\" TAKES: ") + 1) ")$"
    for (i = 1; i <= n; i++)
        taken[i] = name[i] ~ pattern
    next
}
file == 2 && /@NAMES@/ {
    names = ""
    for (i = 1; i <= n; i++)
        if (taken[i] && kind[i] == "function")
            names = names (names == "" ? "" : ", ") name[i]
    sub(/@NAMES@/, names)
    print fold($0)
    next
}
file == 2 && /^@SYNOPSIS@$/ {
    print ".nf\n.B #include <quantbench.h>\n.PP"
    for (i = 1; i <= n; i++)
        if (taken[i] && kind[i] == "function")
            print_prototype(declaration[i])
    print ".fi"
    next
}
file == 2 && /^@TYPES@$/ { print_types(); next }
file == 2 && /^@FUNCTIONS@$/ { print_functions(); next }
file == 2 {
    gsub(/@PACKAGE_VERSION@/, version)
    gsub(/@RELEASE_DATE@/, date)
    gsub(/@docdir@/, docdir)
    print
    # Names are not hyphenated, nor set apart.
    if (/^\.TH/)
        print ".nh\n.ad l"
}
