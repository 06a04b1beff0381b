# SPDX-License-Identifier: Apache-2.0
# formats.awk - a manual page with the table of formats:
#
#   awk -v version=VERSION -v date=DATE -f .../libquantbench/formats.awk -f formats.awk formats.h ... TEMPLATE
#
# writes TEMPLATE, with a row for each format in place of the line @FORMATS@, the values of all codes of less than a byte in
# place of @VALUES@, and its other names filled in.

# The number that TEXT is in C: 448.0f or 0x1.FEp127f.
function c_number(text,    number, scale, i) {
    sub(/f$/, "", text)
    if (text !~ /^0x/)
        return text + 0
    scale = 1
    for (i = 3; i <= length(text) && substr(text, i, 1) != "p"; i++) {
        if (substr(text, i, 1) == ".") {
            scale = 1 / 16
        } else if (scale == 1) {
            number = 16 * number + hex_digit(substr(text, i, 1))
        } else {
            number += scale * hex_digit(substr(text, i, 1))
            scale /= 16
        }
    }
    return number * 2 ^ (substr(text, i + 1) + 0)
}

function hex_digit(text) {
    return index("0123456789ABCDEF", toupper(text)) - 1
}

# The code CODE of a format of BITS bits.
function code_text(code, bits) {
    return sprintf("0x%0" int((bits + 3) / 4) "X", code)
}

# The bits of a format that are its sign: 1 or 0.
function sign_bits() {
    return format["bits"] - format["exponent_bits"] - format["mantissa_bits"]
}

function largest_text(    value, text) {
    value = c_number(format["largest"])
    text = sprintf(value < 1e6 ? "%.9g" : "%.2e", value)
    sub(/\+/, "", text)
    return text
}

# The codes of infinity and NaN: of IEEE 754's own formats everybody knows them.
function specials_text(    bits, infinity, sign) {
    bits = format["bits"]
    sign = 2 ^ (bits - 1)
    if (format["specials"] == "QB_SPECIALS_NONE")
        return "none"
    if (format["specials"] == "QB_SPECIALS_NAN")
        return "NaN " (sign_bits() ? code_text(sign - 1, bits) ", " : "") code_text(2 * sign - 1, bits)
    if (format["is_input"] == "true")
        return "as in IEEE 754"
    infinity = (2 ^ format["exponent_bits"] - 1) * 2 ^ format["mantissa_bits"]
    return "inf " code_text(infinity, bits) ", NaN " code_text(infinity + 1, bits) " \\- " code_text(sign - 1, bits)
}

# Codes are also known by the name that the standard gives them.
function name_text() {
    if (format["is_input"] == "true" || toupper(format["name"]) == format["key"])
        return format["name"]
    return format["name"] " (" format["key"] ")"
}

function add_format(    parts, bias) {
    if (format["exponent_bits"] == 0) {
        parts = format["bits"] ", integer"
        bias = "\\-"
    } else {
        parts = sign_bits() ", " format["exponent_bits"] ", " format["mantissa_bits"]
        bias = format["bias"]
    }
    rows = rows name_text() "\t" parts "\t" bias "\t" largest_text() "\t" specials_text() "\n"
}

# The value of the code CODE, which is positive and neither infinity nor NaN.
function value_of(code,    unit, exponent, mantissa) {
    unit = 2 ^ format["mantissa_bits"]
    exponent = int(code / unit)
    mantissa = code % unit + (exponent > 0 ? unit : 0)
    return mantissa / unit * 2 ^ ((exponent > 0 ? exponent : 1) - format["bias"])
}

# Eight codes a line, the format's name on the first.
function add_values(    code, last) {
    last = 2 ^ (format["bits"] - sign_bits()) - 1
    for (code = 0; code <= last; code++) {
        if (code % 8 == 0)
            values = values (code == 0 ? format["key"] : "") "\t" code_text(code, format["bits"])
        values = values "\t" sprintf("%.9g", value_of(code)) (code % 8 == 7 || code == last ? "\n" : "")
    }
}

# The last file is the template.
FILENAME != ARGV[ARGC - 1] {
    if (read_format($0)) {
        if (format["is_input"] == "true" || format["is_output"] == "true" || format["is_scale"] == "true")
            add_format()
        if (format["bits"] + 0 < 8 && format["exponent_bits"] + 0 > 0)
            add_values()
    }
    next
}
/^@VALUES@$/ {
    printf "%s", values
    next
}
/^@FORMATS@$/ {
    printf "%s", rows
    next
}
{
    gsub(/@PACKAGE_VERSION@/, version)
    gsub(/@RELEASE_DATE@/, date)
    print
}
