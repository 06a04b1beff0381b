#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh - builds the fuzz harnesses with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer in ./fuzz, and runs
# each for FUZZ_SECONDS. Called by "make fuzz", which sets srcdir, CPPFLAGS, LIBS, SOURCES and HARNESSES. What is found
# is left in fuzz/NAME-crash-*; a run of fuzz/NAME with that file shows it again. New inputs are kept in fuzz/corpus.
#   FUZZ_CC        a clang with libFuzzer (clang)
#   FUZZ_SECONDS   for each harness (60)
#   FUZZ_MERGE=1   put what fuzz/corpus has that is new, in few inputs, into the source's corpus, and run nothing
set -e
: "${FUZZ_CC:=clang}" "${FUZZ_SECONDS:=60}" "${srcdir:=.}"
flags='-std=gnu11 -g -O1 -Wno-unknown-pragmas -fno-sanitize-recover=all'
sanitizers=address,undefined

mkdir -p fuzz/objects
echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return data == 0 && size != 0; }' >fuzz/probe.c
if ! "$FUZZ_CC" -fsanitize=fuzzer,$sanitizers fuzz/probe.c -o fuzz/probe 2>fuzz/probe.err; then
    cat fuzz/probe.err >&2
    echo "make fuzz: $FUZZ_CC cannot link with libFuzzer; set FUZZ_CC to a clang that can (Debian: clang with" \
        "libclang-rt-dev)" >&2
    exit 1
fi

# compile FILE...: each into fuzz/objects, unless it is there and nothing is newer.
compile()
{
    for file; do
        case $file in *.c) ;; *) continue ;; esac
        object=fuzz/objects/$(basename "$file" .c).o
        echo "$object"
        if [ ! -e "$object" ] ||
            [ -n "$(find "$srcdir/src" "$srcdir/tests/fuzz" config.h -newer "$object" -name '*.[ch]')" ]; then
            # shellcheck disable=SC2086 # lists of words
            "$FUZZ_CC" $CPPFLAGS $flags -fsanitize=fuzzer-no-link,$sanitizers -c "$srcdir/$file" -o "$object"
        fi
    done
}
# shellcheck disable=SC2086 # a list of words
objects=$(compile $SOURCES tests/fuzz/fuzz.c)

# All are built before any is run, so that the sources can change meanwhile.
for name in $HARNESSES; do
    harness=$(compile "tests/fuzz/fuzz_$name.c")
    # shellcheck disable=SC2086 # lists of words
    ./libtool --silent --tag=CC --mode=link "$FUZZ_CC" $flags -fsanitize=fuzzer,$sanitizers -o "fuzz/$name" \
        "$harness" $objects $LIBS
done

# run NAME: false if it finds something.
run()
{
    echo "fuzz: $1, $FUZZ_SECONDS s"
    "fuzz/$1" -max_total_time="$FUZZ_SECONDS" -timeout=60 -rss_limit_mb=4096 -max_len=16384 -close_fd_mask=2 \
        -artifact_prefix="fuzz/$1-" -print_final_stats=1 "fuzz/corpus/$1" "$kept/$1" >"fuzz/$1.out" 2>"fuzz/$1.log"
    found=$?
    grep -E 'stat::number_of_executed_units|ERROR|SUMMARY' "fuzz/$1.log" || true
    [ $found -eq 0 ] || { echo "fuzz: $1: found something: $(ls "fuzz/$1"-*)" >&2; return 1; }
}

status=0
kept=$srcdir/tests/fuzz/corpus
for name in $HARNESSES; do
    mkdir -p "fuzz/corpus/$name"
    if [ "${FUZZ_MERGE:-0}" = 1 ]; then
        "fuzz/$name" -merge=1 -close_fd_mask=3 "$kept/$name" "fuzz/corpus/$name"
    else
        run "$name" || status=1
    fi
done
exit $status
