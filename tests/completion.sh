#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# completion.sh - what the shells complete is what quantbench accepts. The completions are made from options.c, formats.h
# and completion/values; here they are held against --help and the errors of the program, and tried in the shells.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

bash=$builddir/completion/quantbench zsh=$builddir/completion/_quantbench fish=$builddir/completion/quantbench.fish
values=$srcdir/completion/values

# A value in brackets, with its sign, is one that may be left out.
"$QUANTBENCH" --help | sed 's/^\( *--[a-z-]*\)\[=\([^ ]*\)\]/\1=\2/' >help
grep -E '^ +(-., )?--' help | grep -oE -e '^ +(-., )?--[a-z-]+=?' | grep -oE -e '--.*' | sort >options.help
sed -n "s/^ *options='\(.*\)'$/\1/p" "$bash" | tr ' ' '\n' | sort >options.bash
grep -oE -e '^ *.(\([^)]*\))?--[a-z-]+=?' "$zsh" | grep -oE -e '--[a-z-]+=?$' | sort >options.zsh
sed -n 's/^complete -c quantbench.* -l \([a-z-]*\) -[xr].*/--\1=/p; s/^complete -c quantbench.* -l \([a-z-]*\) -d.*/--\1/p' \
    "$fish" | sort >options.fish
same_options()
{
    diff options.help "options.$1" >differ && return 0
    sed 's/^/# /' differ
    echo "# completion/options.awk does not understand a row of the table in src/quantbench/cli/options.c"
    return 1
}
for shell in bash zsh fish; do
    ok "$shell: the options are those of --help" same_options $shell
done

# completed OPTION: the words that complete its values.
completed() { sed -n "s/^ *--$1) choices='\(.*\)' list=.*/\1/p" "$bash"; }

# Every option that takes neither a number nor a file has words, or the row "-" in completion/values.
has_words()
{
    [ -n "$(completed "$1")" ] || grep -qE "^$1 +-$" "$values" ||
        { echo "# completion/values: a row is missing for --$1, \"-\" if its values cannot be known"; return 1; }
}
grep -oE -e '^ +(-., )?--[a-z-]+=[^ ]*' help | grep -vE '=(N|X)(\.\.\.)?$|FILE$' | sed 's/^.*--//; s/=.*//' >valued
ok 'values: there are options with values' test -s valued
while read -r option; do
    ok "--$option: its values are known, or known not to be" has_words "$option"
done <valued
stray()
{
    sed -n 's/^\([a-z][a-z-]*\).*/--\1=/p' "$values" | while read -r option; do
        grep -qxF -e "$option" options.help || echo "# completion/values: quantbench has no option $option"
    done >strays
    cat strays
    [ ! -s strays ]
}
ok 'values: completion/values names no option that is not there' stray

# The values are those that the error names; a part that a user fills in is left out: group:G is group:, cuda:N is what
# --list-devices says.
same_values()
{
    run 2 "--$1=bogus" || return 1
    sed -n 's/ (did you mean.*//; s/ or /, /; s/.*; expected \(.*\)$/\1/p' err | tr -d ' ' | tr ',' '\n' | sed 's/:[A-Z].*/:/; /^cuda:$/d' | sort >accepted
    completed "$1" | tr -s ' ' '\n' | grep -v '^@' | sort >words
    diff accepted words >differ && return 0
    sed 's/^/# /' differ
    echo "# completion/values, or completion/options.awk: the words of $1 are not what quantbench accepts"
    return 1
}
while read -r option; do
    case $(completed "$option") in
    '' | @*) ;;
    *) ok "--$option: the values are those of the error" same_values "$option" ;;
    esac
done <valued

# ---- bash ----------------------------------------------------------------------------------------------------------

touch tensor.npy weights.safetensors
# shellcheck source=tests/safetensors.sh
. "$srcdir/tests/safetensors.sh"
mkdir 'a model'
safetensors '{"q.weight":{"dtype":"F16","shape":[1,1],"data_offsets":[0,2]},"=a \"b\", $(touch bad);c":{"dtype":"F16","shape":[1],"data_offsets":[2,4]},"k.weight":{"dtype":"F16","shape":[],"data_offsets":[4,6]}}' 'aaaaaa' >'a model/m.safetensors'
mkdir -p bin
ln -s "$QUANTBENCH" bin/quantbench
PATH=$PWD/bin:$PATH
kernels=$("$QUANTBENCH" --list-kernels | grep -v '^ ' | sort | tr '\n' ' ')

# completes LINE WORD...: at the end of "quantbench LINE", the words, sorted, are what bash offers.
completes_in_bash()
{
    tap_line="quantbench $1"
    shift
    # The program is bash's, the variables are its own.
    # shellcheck disable=SC2016
    tap_got=$(bash --norc -c '
        source "$1"
        COMP_LINE=$2 COMP_POINT=${#2}
        _quantbench quantbench
        printf "%s\n" "${COMPREPLY[@]}"' - "$bash" "$tap_line" 2>err | sort | tr '\n' ' ')
    same "$* " "$tap_got"
}
if command -v bash >/dev/null 2>&1; then
    ok 'bash: an option' completes_in_bash --num-t --num-tokens=
    ok 'bash: options after another' completes_in_bash '--quiet --list-' --list-devices --list-kernels --list-models \
        --list-tensors
    ok 'bash: a value' completes_in_bash --quant-dtype=f fp8
    ok 'bash: a value that is the next argument' completes_in_bash '--scale d' dynamic
    ok 'bash: the second value of a list' completes_in_bash --dtype=half,b half,bfloat16
    ok 'bash: a value after a colon' completes_in_bash --granularity=group:128,ten 128,tensor
    ok 'bash: the kernels' completes_in_bash --kernel= ${kernels:+"${kernels% }"}
    ok 'bash: a model' completes_in_bash --model=llama3-8b,deep llama3-8b,deepseek-v3
    ok 'bash: a device' completes_in_bash --device=cp cpu
    ok 'bash: a file' completes_in_bash --input=tens tensor.npy
    ok 'bash: a file after its format' completes_in_bash --output=json:weig weights.safetensors
    ok 'bash: nothing for a number' completes_in_bash --seed= ''
    ok 'bash: the tensors of the input' completes_in_bash '--input="a model" --tensor=' '=a\ \"b\"\,\ \$\(touch\ bad\)\;c' \
        k.weight q.weight
    ok 'bash: a tensor of a list' completes_in_bash "--input 'a model/m.safetensors' --tensor=q.weight,k" \
        q.weight,k.weight
    ok 'bash: a tensor that is left out' completes_in_bash '--input=a\ model/m.safetensors --tensor \!q' '\!q.weight'
    ok 'bash: no tensors of an input that is not there' completes_in_bash '--input=nowhere --tensor=' ''
    ok 'bash: no tensors without an input' completes_in_bash '--tensor=' ''
    ok 'bash: what is typed is not run' completes_in_bash '--input=$(touch bad) --input="`touch bad`" --tensor=' ''
    ok 'bash: names and lines run nothing' test ! -e bad
else
    skip 'bash: completion' 'bash is not here'
fi

# ---- zsh and fish --------------------------------------------------------------------------------------------------

# A line is typed into a shell on a terminal of its own, then TAB, and keys that write what has become of it to a file.
completes_in_zsh()
{
    mkdir -p dot
    cat >dot/.zshrc <<END
fpath=('${zsh%/*}' \$fpath)
autoload -U compinit
compinit -u -D
write_line() { print -r -- \$BUFFER >line; exit }
zle -N write_line
bindkey '^Xw' write_line
END
    rm -f line
    # The variables are zsh's.
    # shellcheck disable=SC2016
    ZDOTDIR=$PWD/dot zsh -f -c '
        zmodload zsh/zpty
        zpty inner zsh -d -i
        zpty -w -n inner "$1"$'"'\\t\\x18'"'w
        while zpty -r inner output; do :; done' - "quantbench $1" >out 2>err
    # The comma is for a further value; it or the space after the value goes with the next key.
    same "quantbench $2" "$(sed 's/[, ]$//' line)"
}
if zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
    ok 'zsh: an option' completes_in_zsh --num-t --num-tokens=
    ok 'zsh: a value' completes_in_zsh --quant-dtype=f --quant-dtype=fp8
    ok 'zsh: a value that is the next argument' completes_in_zsh '--scale d' '--scale dynamic'
    ok 'zsh: the second value of a list' completes_in_zsh --dtype=half,b --dtype=half,bfloat16
    ok 'zsh: a kernel' completes_in_zsh --kernel=cpu_gen --kernel=cpu_generic
    ok 'zsh: a tensor of the input' completes_in_zsh '--input="a model" --tensor=q.weight,k' \
        '--input="a model" --tensor=q.weight,k.weight'
    ok 'zsh: a file after its format' completes_in_zsh --output=json:weig --output=json:weights.safetensors
else
    skip 'zsh: completion' 'zsh is not here'
fi

completes_in_fish()
{
    # shellcheck disable=SC2016 # the variables are fish's
    tap_got=$(HOME=$PWD XDG_CONFIG_HOME=$PWD XDG_DATA_HOME=$PWD fish --no-config -c 'source $argv[1]; complete -C "quantbench $argv[2]"' "$fish" "$1" 2>err |
        cut -f 1 | sort | tr '\n' ' ')
    shift
    same "$* " "$tap_got"
}
if command -v fish >/dev/null 2>&1; then
    ok 'fish: an option' completes_in_fish --num-t --num-tokens
    ok 'fish: a value' completes_in_fish --quant-dtype=f --quant-dtype=fp8
    ok 'fish: the second value of a list' completes_in_fish --dtype=half,b --dtype=half,bfloat16
    ok 'fish: the tensors of the input' completes_in_fish "--input='a model' --tensor=q.weight,k" \
        --tensor=q.weight,k.weight
    ok 'fish: the kernels' completes_in_fish '--kernel ' ${kernels:+"${kernels% }"}
else
    skip 'fish: completion' 'fish is not here'
fi
done_testing
