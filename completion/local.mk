# SPDX-License-Identifier: Apache-2.0
# Completion for bash, zsh and fish, made from the table of options and a table of their values.

# The names are those by which the shells look for them. Without a folder, which configure leaves empty for "no",
# nothing is installed.
if TOOL
nodist_bashcompletion_DATA = %D%/quantbench
nodist_zshcompletion_DATA = %D%/_quantbench
nodist_fishcompletion_DATA = %D%/quantbench.fish
endif
CLEANFILES += $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA) $(nodist_fishcompletion_DATA)

completion_tables = %D%/options.awk %D%/values $(format_tables) src/quantbench/cli/options.c
completion_input = $(srcdir)/%D%/values $(FORMATS) $(srcdir)/src/quantbench/cli/options.c
EXTRA_DIST += %D%/options.awk %D%/values %D%/quantbench.bash.in %D%/quantbench.zsh.in %D%/quantbench.fish.in
COMPLETE = $(AM_V_GEN)$(MKDIR_P) %D% && $(READ_FORMATS) -f $(srcdir)/%D%/options.awk

%D%/quantbench: %D%/quantbench.bash.in $(completion_tables)
	$(COMPLETE) -v shell=bash $(completion_input) $(srcdir)/%D%/quantbench.bash.in >$@
%D%/_quantbench: %D%/quantbench.zsh.in $(completion_tables)
	$(COMPLETE) -v shell=zsh $(completion_input) $(srcdir)/%D%/quantbench.zsh.in >$@
%D%/quantbench.fish: %D%/quantbench.fish.in $(completion_tables)
	$(COMPLETE) -v shell=fish $(completion_input) $(srcdir)/%D%/quantbench.fish.in >$@
