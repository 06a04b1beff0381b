#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# source.sh - rules that the sources keep, and that no compiler checks.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

# Every source file says its license in the first three lines.
spdx()
{
    find "$srcdir/src" "$srcdir/cuda" "$srcdir/tests" "$srcdir/doc" "$srcdir/man" "$srcdir/m4" \
        "$srcdir/completion" "$srcdir/bootstrap" \
        -type f \( -name '*.[ch]' -o -name '*.cu*' -o -name '*.am' -o -name '*.mk' -o -name 'qb_*.m4' -o -name '*.sh' \
        -o -name '*.in' -o -name bootstrap \) ! -name '*.pc.in' | while read -r file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
    done >missing
    sed 's/^/# no SPDX line: /' missing
    [ ! -s missing ]
}

# The tool knows the library by its public header alone, and the CUDA backend knows nothing of the tool.
rooms()
{
    ! grep -nE '#include "(internal|backend|problem|kernels)\.h"' "$srcdir"/src/quantbench/*/*.[ch] &&
        ! grep -nE '#include "(base|model|cases|check|measure|schedule|verdict|report|fleet|cli)/' "$srcdir"/cuda/* "$srcdir"/src/libquantbench/*.[ch]
}

# What each room of the tool may include besides its own headers is in ARCHITECTURE: a room, and those that it may see.
arrows()
{
    awk '/^A room may include/ { inside = 1; next } /^[^ ]/ { inside = 0 } inside && NF' "$srcdir/ARCHITECTURE" >allowed
    (cd "$srcdir/src/quantbench" && grep -n '^#include "[a-z]*/' ./*/*.[ch]) |
        awk -F '[:"/]' 'FNR == NR { split($0, names, " "); for (i in names) allowed[names[1], names[i]] = 1; next }
            !(($2, $6) in allowed) { print "# " $2 "/" $3 ":" $4 ": may not include " $6 "/" $7 }' allowed - >broken
    cat broken
    [ ! -s broken ]
}

# The entries of the map in ARCHITECTURE, such as cuda/nvml.[ch], which is two files.
map_entries()
{
    awk '/^[a-z.].*\/ - / { folder = $1; next } /^[^ ]/ { folder = "" } folder != "" && /^    [^ ]/ {
        name = folder $1
        if (sub(/\[ch\]$/, "c", name)) { print name; sub(/c$/, "h", name) }
        print name }' "$srcdir/ARCHITECTURE"
}

# Each file of the library, the tool and the CUDA backend is in the map.
mapped()
{
    map_entries | sort >entries
    (cd "$srcdir" && find src cuda -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.in' -o -name '*.am' \
        -o -name '*.mk' -o -name '*.awk' -o -name NOTES \)) | sort >files
    comm -13 entries files | sed 's/^/# the map in ARCHITECTURE lacks /' >unmapped
    cat unmapped
    [ -s files ] && [ ! -s unmapped ]
}

# Each entry of the map is a file, or a pattern that some file matches; and it stands there once.
map_exists()
{
    map_entries | sort | uniq -d | sed 's/$/: twice in the map in ARCHITECTURE/' >stale
    map_entries | while read -r entry; do
        # shellcheck disable=SC2086 # an entry may be a pattern
        (cd "$srcdir" && set -- $entry && [ -e "$1" ]) || echo "$entry: in the map in ARCHITECTURE, but not there"
    done >>stale
    sed 's/^/# /' stale
    [ -n "$(map_entries)" ] && [ ! -s stale ]
}

# Test cases have the time limit of patient_case(), or a longer one, which no slow machine reaches.
patient()
{
    ! grep -n '\btcase_create\b' "$srcdir"/tests/*.[ch] | grep -v '/run\.h:'
}

# The library never prints and never exits.
silent()
{
    ! grep -nE '\b(printf|fprintf|puts|putchar|perror|exit|abort|_exit)[[:space:]]*\(' "$srcdir"/src/libquantbench/*.c \
        "$srcdir"/src/libquantbench/cpu/*.c "$srcdir"/cuda/*.c "$srcdir"/cuda/*.cu
}

# What the shared library exports, if one was built: what the header declares, and nothing else.
exports()
{
    nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v '^_' | sort >exported
    sed 's://.*::; s:/\*.*\*/::' "$srcdir/src/libquantbench/quantbench.h" |
        grep -oE '\bqb_[a-z0-9_]+\(' | tr -d '(' | sort -u >with_macros
    sed -n 's/^#define \(qb_[a-z0-9_]*\)(.*/\1/p' "$srcdir/src/libquantbench/quantbench.h" >macros
    grep -vxF -f macros with_macros >mentioned
    # Comments mention functions too, but only ones that exist.
    diff exported mentioned
}

# The checked-in list, which is the Debian package's, with the version in which each symbol came.
listed()
{
    sed -n 's/^ \(.*\)@Base [0-9.]*$/\1/p' "$srcdir/debian/libquantbench0.symbols" >listed
    diff listed exported >differ && return 0
    sed 's/^/# /' differ
    echo "# add a new symbol (>) as ' NAME@Base VERSION', in the order of the alphabet, to debian/libquantbench0.symbols;"
    echo "# one that is gone (<) breaks programs: see RELEASING for libtool's -version-info"
    return 1
}

# The version is configure.ac's; what is written by hand beside it speaks of the same.
version()
{
    version=$("$QUANTBENCH" --version | sed 's/.* //')
    same "quantbench ($version)" "$(sed -n '1s/^\(.*)\).*/\1/p' "$srcdir/debian/changelog")" &&
        same "quantbench $version" "$(sed -n 1p "$srcdir/NEWS")" &&
        same "$version" "$(sed -n 's/^version: //p' "$srcdir/CITATION.cff")" &&
        same "$(sed -n 's/^AC_SUBST(\[RELEASE_DATE\], \[\(.*\)\])$/\1/p' "$srcdir/configure.ac")" \
            "$(sed -n 's/^date-released: //p' "$srcdir/CITATION.cff")"
}

# The command line is made of small functions: their bodies have 60 lines at most.
small()
{
    for file in "$srcdir"/src/quantbench/cli/*.c; do
        awk '/^\{$/ { start = NR } /^\}$/ && NR - start > 61 { print "# " FILENAME ":" start ": " NR - start - 1 " lines" }' \
            "$file"
    done >large
    cat large
    [ ! -s large ]
}

# What the CPU's kernels pass along travels in structs: no function has more than six parameters. The vocabulary of
# vectors is for any operation, and takes nothing of one.
vocabulary()
{
    for file in "$srcdir"/src/libquantbench/cpu/*.[ch]; do
        tr '\\\n' '  ' <"$file" |
            grep -oE '[A-Za-z0-9_#]+\)?\(([^(),{};]+,){6,}[^(),{};]+\) *(\{|;)' |
            grep -E '(\{$|[a-z_] \**[a-z_]+\) *;$)' | sed "s:^:# ${file##*/}\: :"
    done >many
    cat many
    [ ! -s many ] && ! grep -nE '#include "kernels|qb__(divisor|rule|pair|way|run|rows|groups|columns)\b' \
        "$srcdir"/src/libquantbench/cpu/vector*.h
}

# The words that DEVELOPING, under Language, lists as avoided are in no comment, message, page of the manual or test.
words()
{
    awk '/^Words that are avoided/ { inside = 1; next } /^[^ ]/ { inside = 0 } inside && NF { sub(/^ +/, ""); sub(/   .*/, ""); print }' \
        "$srcdir/DEVELOPING" >avoided
    [ -s avoided ] || { echo "# DEVELOPING lists no words"; return 1; }
    (cd "$srcdir" && find src man tests cuda completion -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \
        -o -name '*.sh' -o -name '*.in' -o -name '*.awk' \) \
        ! -path 'tests/fuzz/corpus/*' \
        ! -path tests/source.sh -exec grep -nHiE -f "$OLDPWD/avoided" {} +) |
        grep -viE '\bthere (is|are) no\b|\b(is|are) no (such|longer|more|larger|less|fewer|later|better|farther|narrower)\b' | sed 's/^/# /' >said
    cat said
    [ ! -s said ]
}

# Plain C among an instruction set's kernels is for the compiler to make vectors of, as in the generic ones.
vectorized()
{
    grep -E '^libq(b[a-z0-9]+|uantbench)_la_CFLAGS = ' "$srcdir/src/libquantbench/local.mk" >flags &&
        same "" "$(grep -v 'QB_VECTORIZE_CFLAGS' flags)"
}

ok "every source file has its SPDX line" spdx
ok "no text has a word that DEVELOPING lists as avoided" words
ok "no room is entered but through its header" rooms
ok "the rooms of the tool include only what lies below them" arrows
ok "the map in ARCHITECTURE has every source file" mapped
ok "every entry of the map is there" map_exists
ok "the library never prints and never exits" silent
ok "test cases have the time limit of patient_case()" patient
ok "no function of the command line has more than 60 lines" small
ok "no function of the CPU's kernels has more than six parameters, and their vocabulary no operation" vocabulary
ok "every library of the CPU's kernels is compiled with the flags that make vectors of loops" vectorized
library=${builddir:-.}/.libs/libquantbench.so
if [ -e "$library" ] && command -v nm >/dev/null; then
    ok "exactly the functions of quantbench.h are exported" exports
    ok "exactly the functions of debian/libquantbench0.symbols are exported" listed
else
    skip "exactly the functions of quantbench.h are exported" "no shared library, or no nm"
    skip "exactly the functions of debian/libquantbench0.symbols are exported" "no shared library, or no nm"
fi
if [ -x "$QUANTBENCH" ]; then
    ok "debian/changelog, NEWS and CITATION.cff have the version of configure.ac" version
else
    skip "debian/changelog, NEWS and CITATION.cff have the version of configure.ac" "the tool is not built"
fi
done_testing
