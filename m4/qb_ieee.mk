# SPDX-License-Identifier: Apache-2.0
# qb_ieee.mk - configure copies it into the Makefile, since Automake does not know what is GNU make's own.
# Codes depend on IEEE arithmetic: what the user's flags, also those of make's command line, would change of it is left
# out or taken back. The same words would make the linker put in a constructor that flushes subnormals to zero.
ieee = $(patsubst -Ofast,-O3,$(filter-out -ffast-math -funsafe-math-optimizations -ffp-model=%,$(1)))
override CPPFLAGS := $(call ieee,$(CPPFLAGS))
override CFLAGS := $(call ieee,$(CFLAGS)) $(QB_IEEE_CFLAGS)
override LDFLAGS := $(call ieee,$(LDFLAGS))
