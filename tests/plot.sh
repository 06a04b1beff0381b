#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plot.sh - pictures: the scripts, what gnuplot makes of them, names that others chose, and a gnuplot that is missing, that
# fails or that leaves half a file.

# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"

# ---- Records -------------------------------------------------------------------------------------------------------

small='--device=cpu --hidden-size=64 --num-iters=6 --num-warmup-iters=1'
# shellcheck disable=SC2086 # a list of options
"$QUANTBENCH" -q $small --num-tokens=1,4,16 --quant-dtype=fp8,int8 --output=sweep.json >sweep.txt || exit 99
# shellcheck disable=SC2086
"$QUANTBENCH" -q $small --num-tokens=4 --compare=granularity --granularity=token,tensor --output=compare.json \
    >compare.txt || exit 99
"$QUANTBENCH" -q --device=cpu --num-iters=6 --num-warmup-iters=1 --num-tokens=2,4 --hidden-size=32,64 --compare=granularity \
    --granularity=token,tensor --output=map.json >map.txt || exit 99
for name in a b; do tensor '\000\074' >$name.npy; done
"$QUANTBENCH" -q --quality --input=a.npy --input=b.npy --quant-dtype=fp8,int8 --granularity=token,group:16 \
    --output=model.json >model.txt || exit 99
single=$srcdir/doc/records/h200.json

# script KIND RECORD: the script of KIND in ./x.gp.
script() { run 0 --report="$2" --plot="$1:x.gp"; }
has() { grep -qF -e "$1" x.gp || { echo "# not in the script: $1"; return 1; }; }

# ---- Scripts -------------------------------------------------------------------------------------------------------

chosen() { run 0 --report="$2" --format=gnuplot && cp out chosen && script "$1" "$2" && cmp chosen x.gp; }
ok 'script: a sweep of sizes is the share of the ceiling' chosen share sweep.json
ok 'script: a comparison is its ratios' chosen ratio compare.json
ok 'script: one case is its samples' chosen samples "$single"
ok 'script: tensors that were rated are the model' chosen model model.json
output() { run 0 --report=sweep.json --output=y.gp --format=gnuplot && cmp y.gp out; }
ok 'script: --output has it too' output
ok 'script: it names no terminal and no file' sh -c '! grep -E "set (terminal|output)|load|pwd" chosen'

# values BLOCK: the lines of data.
values() { sed -n "/^\\\$$1 << EOD/,/^EOD/p" x.gp | sed '1d;$d'; }
shares()
{
    script share sweep.json && same 3 "$(values d0 | wc -l)" && same '1 4 16' "$(values d1 | cut -d' ' -f1 | paste -sd' ' -)" &&
        has "title 'fp8'" && has "title 'int8'" && has "set xlabel 'tokens'" && has 'set logscale x 2'
}
ok 'share: a curve for each format, a point for each size' shares
interval() { script share sweep.json && values d0 | awk '{ if (!($3 <= $2 && $2 <= $4)) exit 1 }'; }
ok 'share: the interval holds the value' interval
# width_of CURVE: of its line.
width_of() { sed -n "s/^ *\$$1 using .* with yerrorlines lw \([0-9.]*\) .*/\1/p" x.gp; }
widths()
{
    script share sweep.json &&
        echo "$(width_of d0) $(width_of d1)" | awk '{ exit !($1 > $2 && $2 > 0) }'
}
ok 'share: a curve that lies on an earlier one does not hide it' widths
balanced()
{
    script share "$srcdir/doc/records/h200sweep.json" && sed -n "s/^set title '[^']*'//p" x.gp | tr "'" '\n' | grep , |
        awk '{ n++; most = length > most ? length : most; least = n == 1 || length < least ? length : least }
            END { exit !(n == 2 && least > most * 3 / 4) }'
}
ok 'script: the lines of a title are of about the same length' balanced
# The second of three sizes has no time.
gap()
{
    jq '(.results[] | select(.problem.num_tokens == 4)) |= (.exit_status = 3 | .time_ns = null | .rounds = [])' sweep.json \
        >gap.json && script share gap.json && same '1::16' "$(values d0 | cut -d' ' -f1 | paste -sd: -)"
}
if command -v jq >/dev/null; then
    ok 'share: a case without a time is a gap in its curve' gap
else
    skip 'share: a case without a time is a gap in its curve' 'jq is not installed'
fi
logarithmic() { script time sweep.json && has 'set logscale y' && has "title 'its ceiling'" && has "ylabel 'microseconds'"; }
ok 'time: both axes are logarithmic' logarithmic
ratios()
{
    script ratio compare.json && has "'tensor' 1" && has 'rectangle from 0.99, graph 0 to 1.01, graph 1' &&
        has 'set arrow from 1, graph 0'
}
ok 'ratio: a row for each pair, and the margin' ratios
wide_intervals()
{
    jq '.comparison.pairs[0].judgement.ratio_ci95 = [0.0001, 7000]' compare.json >wide.json && script ratio wide.json && has 'set logscale x' &&
        sed -n 's/^set xrange \[\(.*\):\(.*\)\]$/\1 \2/p' x.gp | awk '{ n++; good = $1 > 0.005 && $1 < 1 && $2 > 1 && $2 < 200 } END { exit !(n == 1 && good) }'
}
if command -v jq >/dev/null; then
    ok 'ratio: intervals that span much are on a logarithmic axis, and cut' wide_intervals
else
    skip 'ratio: intervals that span much are on a logarithmic axis, and cut' 'jq is not installed'
fi
heat()
{
    script heat map.json && has "set xtics noenhanced ('2' 1, '4' 2)" && has "'tensor, hidden 32' 1" &&
        same 4 "$( (values decided; values undecided) | wc -l)" && has 'set palette'
}
ok 'heat: a column for each size, a row for all else' heat
heat_of_caches()
{
    jq '(.results[] | select(.problem.num_tokens == 2)).cache = "cold" | (.results[] | select(.problem.num_tokens == 4)).cache = "partly cold"' \
        map.json >caches.json && script heat caches.json && has "'tensor, hidden 32' 1" && ! grep -q 'partly cold. [0-9]' x.gp
}
if command -v jq >/dev/null; then
    ok 'heat: a size that the cache holds has no row of its own' heat_of_caches
else
    skip 'heat: a size that the cache holds has no row of its own' 'jq is not installed'
fi
one_size()
{
    run 3 --report=compare.json --plot=heat:x.gp && err_has "'heat' requires a comparison with results at several sizes"
}
ok 'heat: one size is not a map' one_size
samples() { script samples "$single" && same 100 "$(values d0 | wc -l)" && has "title 'median'" && has "clock, MHz"; }
ok 'samples: each of them, with the clock' samples
model()
{
    script model model.json && has "fp8, token: " && has " bits' 1" && same 2 "$(values d0 | wc -l)" &&
        has "title 'all tensors together'"
}
ok 'model: a row for each way to quantize, a point for each tensor' model
quality() { script quality "$srcdir/doc/records/epyc.json" && has "'tensor' 1, 'token' 2" && has "title 'fp8'"; }
ok 'quality: granularities from coarse to fine' quality

# ---- What is refused -----------------------------------------------------------------------------------------------

refused() { ok "refused: $1" fails "$2" "$3" --report=sweep.json "$4"; }
refused 'another suffix' 2 '.svg, .png, .pdf, .html or .gp' --plot=x.jpg
refused 'a kind that does not exist' 2 'share, time, ratio, heat, samples, model, quality or fleet' --plot=shape:x.jpg
refused 'no file after the colon' 2 "'share:'" --plot=share:
refused 'an empty value' 2 "''" --plot=
refused 'a folder that does not exist' 3 'missing/x.gp' --plot=missing/x.gp
ok 'refused: the same file twice' fails 2 'once' --report=sweep.json --plot=x.gp --plot=time:x.gp
ok 'refused: a picture in the terminal beside JSON' fails 2 '--format=json' --report=sweep.json --plot --format=json
ok 'refused: a file without the sign' fails 2 'and --plot=x.svg' --report=sweep.json --plot x.svg
ok 'refused: a list' fails 2 '--plot: conflicts with --list-kernels' --list-kernels --plot=x.gp
lacks() { run 3 --report=sweep.json --plot=ratio:none.gp && err_has "'ratio' requires a comparison" && [ ! -e none.gp ]; }
ok 'refused: a kind that the record lacks' lacks
ok 'refused: ratios of a run that compares nothing' fails 2 "'ratio' requires" --device=cpu --plot=ratio:x.gp
ok 'refused: times of a run that measures none' fails 2 "'time' requires" --quality --input=a.npy --plot=time:x.gp
ok 'refused: tensors of a run that has none' fails 2 "'model' requires" --device=cpu --plot=model:x.gp

# ---- A gnuplot that does not do its work ---------------------------------------------------------------------------

# without_gnuplot ARGUMENT...: quantbench finds no program at all.
without_gnuplot()
{
    mkdir -p nothing
    PATH=$work/nothing "$QUANTBENCH" "$@" >out 2>err
    same 3 $? && err_has 'gnuplot is not installed' && err_has '--plot=FILE.gp' && [ ! -s out ]
}
ok 'gnuplot: missing, it is an error' without_gnuplot --report=sweep.json --plot=x.svg
# shellcheck disable=SC2086
ok 'gnuplot: missing, nothing is measured' without_gnuplot $small --num-tokens=4 --plot
script_alone() { PATH=$work/nothing "$QUANTBENCH" --report=sweep.json --plot=x.gp >out 2>err && [ -s x.gp ]; }
ok 'gnuplot: a script does not need it' script_alone

# fake SCRIPT: a gnuplot that does this.
fake()
{
    mkdir -p fake
    printf '#!/bin/sh\n%s\n' "$1" >fake/gnuplot && chmod +x fake/gnuplot
}
# spoils WORD SCRIPT FILE: with that gnuplot the old FILE stays, nothing else appears, and the message has WORD.
spoils()
{
    fake "$2" && echo old >"$3" && ls >before
    PATH=$work/fake:$PATH "$QUANTBENCH" --report=sweep.json --plot="$3" >out 2>err
    same 3 $? && err_has "--plot: $3: gnuplot: $1" && same old "$(cat "$3")" && ls >after && cmp before after
}
: >before && : >after && echo old >old.svg
ok 'gnuplot: one that fails leaves the old file, and is quoted' spoils 'exit status 1: line 7: bad' \
    'echo "<?xml"; echo "line 7: bad" >&2; exit 1' old.svg
ok 'gnuplot: one that crashes leaves the old file' spoils 'ended by signal 9' 'kill -KILL $$' old.svg
for file in old.svg old.png old.pdf old.html; do
    ok "gnuplot: half of $file does not replace it" spoils 'ended without a whole picture' 'printf "<?xml <svg"' $file
    ok "gnuplot: nothing does not replace $file" spoils 'ended without a whole picture' : $file
done
last_line()
{
    fake 'echo drawn'
    PATH=$work/fake:$PATH "$QUANTBENCH" --report="$single" --plot >out 2>err || return 1
    same drawn "$(sed -n 1p out)" && tail -n 1 out | grep -q '^Kernel running time: '
}
ok 'gnuplot: the last line of the report stays the last one' last_line
whole()
{
    # shellcheck disable=SC2016 # for the other shell
    fake 'cp "$2" "$0.script"; echo "<?xml?><svg>"; echo "</svg>"'
    PATH=$work/fake:$PATH "$QUANTBENCH" --report=sweep.json --plot=old.svg >out 2>err &&
        same '<?xml?><svg></svg>' "$(tr -d '\n' <old.svg)" && grep -q '^set terminal svg noenhanced' fake/gnuplot.script
}
ok 'gnuplot: a whole picture replaces the old file' whole

# ---- Names that others chose ---------------------------------------------------------------------------------------

# Each of these is something to a shell, to gnuplot, to XML or to HTML.
cat >names <<'END'
`touch pwned`
$(touch pwned)
'.system('touch pwned').'
''.system('touch pwned').''
"."x" @GPVAL_TERM {/Bold x} a_b^c \n
{{{ [[[ ]]></text><script>alert(1)</script>
&amp; <b> %s %n
END
# hostile NAME: a record in which the kernel of one format is called so, and the device too.
hostile()
{
    escaped=$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')
    printf '%s\n' "$escaped" >escaped
    awk 'NR == FNR { name = $0; next }
        /"kernel": "/ || /"name": "/ { at = index($0, ": \""); end = $0 ~ /,$/ ? "\"," : "\""; $0 = substr($0, 1, at + 2) name end }
        { print }' escaped "$2" >hostile.json
}
stays_text()
{
    rm -f pwned
    while IFS= read -r name; do
        for record in sweep.json compare.json model.json "$single"; do
            hostile "$name" "$record" && run 0 --report=hostile.json --plot=hostile.gp || return 1
            # Without what stands in single quotes nothing is left but our own words, and a quote of each pair.
            sed -e "s/\"'\"//g" -e "s/'[^']*'//g" hostile.gp | grep -E 'touch|script>|alert|@' && return 1
        done
    done <names
    return 0
}
ok 'names: they are in single quotes only' stays_text

# ---- gnuplot itself ------------------------------------------------------------------------------------------------

if ! command -v gnuplot >/dev/null; then
    skip 'gnuplot draws' 'gnuplot is not installed'
    done_testing
    exit 0
fi
well_formed() { ! command -v xmllint >/dev/null || xmllint --noout "$1"; }
draws()
{
    run 0 --report="$2" --plot="$1:x.svg" --plot="$1:x.png" && [ ! -s err ] && grep -q '^</svg>' x.svg && well_formed x.svg &&
        [ "$(head -c 4 x.png | tail -c 3)" = PNG ]
}
ok 'gnuplot draws: share' draws share sweep.json
ok 'gnuplot draws: time' draws time sweep.json
ok 'gnuplot draws: cases that do not differ in size' draws share "$srcdir/doc/records/epyc.json"
ok 'gnuplot draws: ratio' draws ratio compare.json
ok 'gnuplot draws: heat' draws heat map.json
ok 'gnuplot draws: samples' draws samples "$single"
ok 'gnuplot draws: samples of several cases' draws samples sweep.json
ok 'gnuplot draws: model' draws model model.json
ok 'gnuplot draws: quality' draws quality "$srcdir/doc/records/epyc.json"
# width_drawn FILE
width_drawn() { sed -n 's/.* width="\([0-9]*\)" height=.*/\1/p' "$1" | head -n 1; }
wider()
{
    run 0 -q --quality --input=a.npy --input=b.npy --quant-dtype=nvfp4 --output=long.json && run 0 --report=long.json --plot=model:x.svg \
        --plot=quality:y.svg && same 960 "$(width_drawn y.svg)" && [ "$(width_drawn x.svg)" -gt 1000 ]
}
ok 'gnuplot draws: rows with long names in a wider picture' wider
pdf() { run 0 --report=sweep.json --plot=x.pdf && [ "$(head -c 5 x.pdf)" = %PDF- ]; }
ok 'gnuplot draws: PDF' pdf
page()
{
    run 0 --report=sweep.json --plot=x.html && grep -q '^<pre>' x.html && [ "$(grep -c '^<svg' x.html)" -ge 3 ] &&
        ! grep -qiE '<script|src=|@import|http://[^w]|https://' x.html && same '</html>' "$(tail -n 1 x.html)"
}
ok 'gnuplot draws: a page of text and pictures, without scripts and other files' page
page_of_one() { run 0 --report=sweep.json --plot=time:x.html && same 1 "$(grep -c '^<svg' x.html)"; }
ok 'gnuplot draws: a page of the kind that is named' page_of_one
terminal()
{
    COLUMNS=60 run 0 --report=sweep.json --plot && out_has 'Share of the ceiling' && out_has 'tokens' &&
        ! LC_ALL=C grep -q '[^ -~]' out && awk '/tokens/ { exit } length > 60 { exit 1 }' out
}
ok 'gnuplot draws: in the terminal, no wider than that' terminal
measured()
{
    # shellcheck disable=SC2086
    run 0 -q $small --num-tokens=4,8,16 --plot=measured.svg && well_formed measured.svg
}
ok 'gnuplot draws: what was measured now' measured
names_drawn()
{
    rm -f pwned
    while IFS= read -r name; do
        for record in sweep.json compare.json "$single"; do
            hostile "$name" "$record" && run 0 --report=hostile.json --plot=x.svg --plot=x.html --plot && well_formed x.svg &&
                [ ! -e pwned ] && ! grep -qi '<script' x.html || return 1
        done
    done <names
}
ok 'gnuplot draws: names that others chose run nothing' names_drawn
# shellcheck disable=SC2016 # nothing is to be replaced
literally='`id` @GPVAL_TERM {/Bold x} a_b'
literal()
{
    hostile "$literally" "$single" && run 0 --report=hostile.json --plot=x.svg && grep -qF "$literally" x.svg
}
ok 'gnuplot draws: names that others chose are what is read' literal
settings()
{
    mkdir -p home && echo 'set title "of the user"' >home/.gnuplot && run 0 --report=sweep.json --plot=x.svg &&
        HOME=$work/home GNUTERM=png "$QUANTBENCH" --report=sweep.json --plot=y.svg >out 2>err && cmp x.svg y.svg
}
ok 'gnuplot draws: the settings of the user do not matter' settings

done_testing
