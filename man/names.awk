# SPDX-License-Identifier: Apache-2.0
# names.awk - the names in the section NAME of a manual page.
/^\.SH NAME/ { inside = 1; next }
/^\.SH/ { inside = 0 }
inside { text = text " " $0 }
END {
    sub(/ \\-.*/, "", text)
    gsub(/,/, "", text)
    print text
}
