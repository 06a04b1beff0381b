# SPDX-License-Identifier: Apache-2.0
# QB_COMPLETION_DIRS: --with-bash-completion-dir and the like for zsh and fish: where the completion of each shell goes.

# QB_COMPLETION_DIR(SHELL, DEFAULT): sets SHELLcompletiondir, empty if it is not to be installed.
AC_DEFUN([QB_COMPLETION_DIR], [
  AC_ARG_WITH([$1-completion-dir],
    [AS_HELP_STRING([--with-$1-completion-dir=DIR|no], [where the completion for $1 is installed])],
    [], [with_$1_completion_dir=yes])
  AS_CASE([$with_$1_completion_dir], [yes], [$1completiondir=$2], [no], [$1completiondir=],
    [$1completiondir=$with_$1_completion_dir])
  AC_SUBST([$1completiondir])
])

AC_DEFUN([QB_COMPLETION_DIRS], [
  # The package bash-completion says its folder as a part of datadir; put under quantbench's own, it follows --prefix.
  qb_bash_dir=`$PKG_CONFIG --define-variable=datadir='${datadir}' --variable=completionsdir bash-completion 2>/dev/null`
  AS_CASE([$qb_bash_dir], ['${datadir}'/*], [], [qb_bash_dir='${datadir}/bash-completion/completions'])
  QB_COMPLETION_DIR([bash], [$qb_bash_dir])
  QB_COMPLETION_DIR([zsh], ['${datadir}/zsh/site-functions'])
  QB_COMPLETION_DIR([fish], ['${datadir}/fish/vendor_completions.d'])
])
