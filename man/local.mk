# SPDX-License-Identifier: Apache-2.0
# The manual. Of the tool's pages configure fills in the version and the date of the release; the library's are made from
# templates and from what quantbench.h says of each function, and each function has a page by its name.

library_pages = %D%/libquantbench.3 %D%/qb_status.3 %D%/qb_format.3 %D%/qb_problem.3 %D%/qb_reference.3 \
	%D%/qb_device.3 %D%/qb_memory.3 %D%/qb_queue.3 %D%/qb_kernel.3
nodist_man3_MANS = $(library_pages) %D%/quantbench-plugin.3
nodist_man1_MANS =
if TOOL
nodist_man1_MANS += %D%/quantbench.1
nodist_man5_MANS = %D%/quantbench-output.5
endif
if MPI
nodist_man1_MANS += %D%/quantbench-mpi.1
endif
nodist_man7_MANS = %D%/quantbench-numerics.7
if TOOL
nodist_man7_MANS += %D%/quantbench-fleet.7
endif
MANUAL = %D%/quantbench.1 %D%/quantbench-mpi.1 %D%/quantbench-output.5 %D%/quantbench-fleet.7 $(nodist_man3_MANS) \
	%D%/quantbench-numerics.7

CLEANFILES += $(library_pages)
EXTRA_DIST += %D%/reference.awk %D%/names.awk %D%/example.awk $(library_pages:=.in)
$(library_pages): %D%/reference.awk src/libquantbench/quantbench.h $(library_pages:=.in) Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && $(AWK) -v version='$(PACKAGE_VERSION)' -v date='$(RELEASE_DATE)' -v docdir='$(docdir)' \
	  -f $(srcdir)/%D%/reference.awk $(srcdir)/src/libquantbench/quantbench.h $(srcdir)/$@.in >$@-t && mv -f $@-t $@

# Each name in a page's NAME but its own becomes a page that is a link.
NAME_LINKS = links() { $(AWK) -f $(srcdir)/%D%/names.awk $$1 | tr ' ' '\n' | grep -vxF -e '' -e `basename $$1 .3`; };
install-data-hook:
	@$(NAME_LINKS) for page in $(library_pages); do \
	  for name in `links $$page`; do \
	    echo ".so man3/`basename $$page`" >$(DESTDIR)$(man3dir)/$$name.3 || exit 1; \
	  done; \
	done
uninstall-hook:
	@$(NAME_LINKS) for page in $(library_pages); do \
	  for name in `links $$page`; do rm -f $(DESTDIR)$(man3dir)/$$name.3; done; \
	done

# The program under EXAMPLES of each page, which make check compiles and runs.
page_programs = %D%/libquantbench.c %D%/qb_status.c %D%/qb_format.c %D%/qb_problem.c %D%/qb_reference.c \
	%D%/qb_device.c %D%/qb_memory.c %D%/qb_queue.c %D%/qb_kernel.c
CLEANFILES += $(page_programs)
$(page_programs): $(library_pages) %D%/example.awk
	$(AM_V_GEN)$(AWK) -f $(srcdir)/%D%/example.awk `echo $@ | $(SED) 's/c$$/3/'` >$@

check_PROGRAMS += page_libquantbench page_status page_format page_problem page_reference page_device page_memory \
	page_queue page_kernel
nodist_page_libquantbench_SOURCES = %D%/libquantbench.c
page_libquantbench_LDADD = libquantbench.la
nodist_page_status_SOURCES = %D%/qb_status.c
page_status_LDADD = libquantbench.la
nodist_page_format_SOURCES = %D%/qb_format.c
page_format_LDADD = libquantbench.la
nodist_page_problem_SOURCES = %D%/qb_problem.c
page_problem_LDADD = libquantbench.la
nodist_page_reference_SOURCES = %D%/qb_reference.c
page_reference_LDADD = libquantbench.la
nodist_page_device_SOURCES = %D%/qb_device.c
page_device_LDADD = libquantbench.la
nodist_page_memory_SOURCES = %D%/qb_memory.c
page_memory_LDADD = libquantbench.la
nodist_page_queue_SOURCES = %D%/qb_queue.c
page_queue_LDADD = libquantbench.la
nodist_page_kernel_SOURCES = %D%/qb_kernel.c
page_kernel_LDADD = libquantbench.la

# A page with examples in it.
CLEANFILES += %D%/quantbench-plugin.3
EXTRA_DIST += %D%/quantbench-plugin.3.in %D%/include.awk
%D%/quantbench-plugin.3: %D%/quantbench-plugin.3.in %D%/include.awk $(plugin_examples) Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && $(AWK) -v top='$(srcdir)' -v version='$(PACKAGE_VERSION)' -v date='$(RELEASE_DATE)' \
	  -v docdir='$(docdir)' -v libdir='$(libdir)' -f $(srcdir)/%D%/include.awk $(srcdir)/$@.in >$@-t && mv -f $@-t $@

# The page with the table of formats.
CLEANFILES += %D%/quantbench-numerics.7
EXTRA_DIST += %D%/quantbench-numerics.7.in %D%/formats.awk
%D%/quantbench-numerics.7: %D%/quantbench-numerics.7.in %D%/formats.awk $(format_tables) Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && LC_ALL=C $(READ_FORMATS) -v version='$(PACKAGE_VERSION)' -v date='$(RELEASE_DATE)' \
	  -f $(srcdir)/%D%/formats.awk $(FORMATS) $(srcdir)/$@.in >$@-t && mv -f $@-t $@
