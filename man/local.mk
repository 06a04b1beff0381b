# SPDX-License-Identifier: Apache-2.0
# The manual pages; configure fills in the version and the date of the release.

nodist_man1_MANS = %D%/quantbench.1
nodist_man5_MANS = %D%/quantbench-output.5
MANUAL = $(nodist_man1_MANS) $(nodist_man5_MANS)
