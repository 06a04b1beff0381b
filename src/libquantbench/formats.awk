# SPDX-License-Identifier: Apache-2.0
# formats.awk - reads the rows of formats.h for a script that makes something of them:
#
#   awk -f formats.awk -f SCRIPT formats.h ...

# True if LINE ends a row. The columns of the row are then in format[], by the names that formats.h and struct
# qb_format_info have for them; format["key"] is the text after "QB_FORMAT_".
function read_format(line,    names, count, i, value) {
    if (match(line, /ROW\([A-Z]/)) {
        format_row = ""
        in_format_row = 1
        line = substr(line, RSTART + 4)
    }
    if (!in_format_row)
        return 0
    sub(/^ +/, "", line)
    sub(/ *\\?$/, "", line)
    format_row = format_row line
    if (line !~ /\)$/)
        return 0
    in_format_row = 0
    count = split("key function name aliases description bits exponent_bits mantissa_bits bias largest largest_code " \
        "nan_code specials is_input is_output is_scale", names, " ")
    for (i = 1; i <= count; i++) {
        match(format_row, /^ *("[^"]*"|[^",)]*)/)
        value = substr(format_row, 1, RLENGTH)
        gsub(/^ *"?|"$/, "", value)
        format[names[i]] = value
        format_row = substr(format_row, RLENGTH + 2)
    }
    return 1
}
