# SPDX-License-Identifier: Apache-2.0
# Example programs, built and run by make check, and installed as source.

plugin_examples = %D%/examples/plugin_cpu.c %D%/examples/plugin_cuda.cu %D%/examples/Makefile
doc_examples = %D%/examples/01_quantize.c %D%/examples/02_cuda_stream.c %D%/examples/03_rms_norm.c %D%/examples/mpijob.yaml \
	%D%/examples/github-action-benchmark.yml $(plugin_examples)
examplesdir = $(docdir)/examples
dist_examples_DATA = $(doc_examples)
# For Python, which build nothing.
pythonexamplesdir = $(examplesdir)/python
python_examples = %D%/examples/python/libquantbench.py %D%/examples/python/record.py \
	%D%/examples/python/numpy_quantize.py %D%/examples/python/torch_op.py %D%/examples/python/flashinfer_bench.py
dist_pythonexamples_DATA = $(python_examples)
dist_doc_DATA = README.md NEWS %D%/performance.md

check_PROGRAMS += example_quantize.test
example_quantize_test_SOURCES = %D%/examples/01_quantize.c
example_quantize_test_LDADD = libquantbench.la
check_PROGRAMS += example_rms_norm.test
example_rms_norm_test_SOURCES = %D%/examples/03_rms_norm.c
example_rms_norm_test_LDADD = libquantbench.la
if HAVE_CUDA
check_PROGRAMS += example_cuda_stream.test
example_cuda_stream_test_SOURCES = %D%/examples/02_cuda_stream.c
example_cuda_stream_test_LDADD = libquantbench.la $(CUDA_LIBS)
endif
EXTRA_DIST += %D%/examples/.clang-format

# Pages quote reports, which are made from records of runs; quoted.sh compares them.
quoting_pages = README.md %D%/performance.md
EXTRA_DIST += %D%/quote.awk %D%/records/h200.json %D%/records/h200sweep.json %D%/records/epyc.json
# They also show pictures of the records: KIND:RECORD.
pictures = samples:h200 share:h200sweep share:epyc
picturesdir = $(docdir)/pictures
dist_pictures_DATA = %D%/pictures/h200.svg %D%/pictures/h200sweep.svg %D%/pictures/epyc.svg
.PHONY: quotes pictures record-cpu
if TOOL
quotes: quantbench$(EXEEXT) # Put the reports into the pages.
	for page in $(quoting_pages); do \
	  $(AWK) -v quantbench=./quantbench$(EXEEXT) -v top='$(srcdir)' -f $(srcdir)/%D%/quote.awk "$(srcdir)/$$page" \
	    >page.new && cp -f page.new "$(srcdir)/$$page" || exit 1; \
	done
	rm -f page.new
pictures: quantbench$(EXEEXT) # Draw the pictures of the pages, which takes gnuplot.
	for picture in $(pictures); do \
	  record=$${picture#*:}; \
	  ./quantbench$(EXEEXT) --report='$(srcdir)/%D%/records/'$$record.json \
	    --plot="$${picture%:*}:$(srcdir)/%D%/pictures/$$record.svg" >pictures.txt || exit 1; \
	done
	rm -f pictures.txt
record-cpu: quantbench$(EXEEXT) # Measure the CPU's again, on a quiet machine, and put it into the page.
	./quantbench$(EXEEXT) -q --device=cpu --quant-dtype=int8,fp8 --granularity=tensor,token --output=epyc.json
	sed "s/\"name\": \"`uname -n`\"/\"name\": \"epyc\"/; s|\"/.*/quantbench\"|\"quantbench\"|" epyc.json >$(srcdir)/%D%/records/epyc.json
	rm -f epyc.json
	$(MAKE) quotes pictures
endif

# README's program, which make check compiles and runs.
check_PROGRAMS += example_readme.test
nodist_example_readme_test_SOURCES = %D%/readme.c
example_readme_test_LDADD = libquantbench.la
CLEANFILES += %D%/readme.c
%D%/readme.c: README.md
	$(AM_V_GEN)$(MKDIR_P) %D% && $(SED) -n '/^```c$$/,/^```$$/{ /^```/d; p; }' $(srcdir)/README.md >$@
