# SPDX-License-Identifier: Apache-2.0
# The manual; configure fills in the version and the date of the release.

nodist_man1_MANS = %D%/quantbench.1
MANUAL = $(nodist_man1_MANS)
