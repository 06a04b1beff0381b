# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# safetensors.sh - makes files with tensors, for tests that source it.

# safetensors HEADER BYTES...: a file on standard output; the bytes are escapes of printf.
safetensors()
{
    # shellcheck disable=SC2059
    printf "\\$(printf %03o $((${#1} % 256)))\\$(printf %03o $((${#1} / 256)))\\000\\000\\000\\000\\000\\000"
    printf %s "$1"
    shift
    # shellcheck disable=SC2059
    for piece; do printf "$piece"; done
}
# repeated COUNT BYTES
repeated()
{
    i=0
    while [ $i -lt "$1" ]; do
        # shellcheck disable=SC2059
        printf "$2"
        i=$((i + 1))
    done
}
