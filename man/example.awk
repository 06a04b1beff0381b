# SPDX-License-Identifier: Apache-2.0
# example.awk - what stands between .EX and .EE under EXAMPLES of a manual page, as plain text: the first such block, or
# with "-v block=2" the second.
BEGIN { block = block ? block : 1 }
/^\.SH / { examples = /EXAMPLES/ }
/^\.EE/ { inside = 0 }
inside {
    gsub(/\\e/, "\\")
    gsub(/\\-/, "-")
    print
}
examples && /^\.EX/ { inside = ++found == block }
