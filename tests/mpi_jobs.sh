# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# mpi_jobs.sh - what the tests of quantbench-mpi share: jobs of fake_tool.sh. Sourced after tap.sh.

if [ ! -x "$builddir/quantbench-mpi" ]; then
    echo '1..0 # SKIP configured without --with-mpi'
    exit 0
fi
if ! command -v mpirun >/dev/null; then
    echo '1..0 # SKIP no mpirun here (./bootstrap tools installs it)'
    exit 0
fi
unset QUANTBENCH_FSROOT
# These are Open MPI's: more ranks than processors, by root too, without the network unless a test says so.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
OMPI_MCA_pml=ob1 OMPI_MCA_hwloc_base_binding_policy=none
: "${OMPI_MCA_btl=self,vader}" "${OMPI_MCA_plm=isolated}" "${OMPI_MCA_oob_tcp_if_include=lo}"
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe OMPI_MCA_btl OMPI_MCA_pml \
    OMPI_MCA_plm OMPI_MCA_oob_tcp_if_include OMPI_MCA_hwloc_base_binding_policy
# What a run leaves lies in its session folder, which is in here.
TMPDIR=$work
REAL=$QUANTBENCH
export TMPDIR REAL

# The statuses of a job that a rank left, and of one in which a rank was killed: mpirun of Open MPI has that of the rank,
# and MPICH's the signal by which it ends the others.
left=3 killed=137
case $(mpirun --version 2>&1) in
*HYDRA*) left=9 killed=9 ;;
esac

# need_jobs: skip all checks where mpirun cannot start two processes.
need_jobs()
{
    if ! timeout -k 5 120 mpirun -n 2 true >out 2>err; then
        echo "1..0 # SKIP mpirun cannot start two processes here: $(grep -m 1 '[a-z]' err)"
        exit 0
    fi
}

records=records job_out=out job_err=err

# job STATUS RANKS OPTION...: a job of the fake tool, whose records come to a new folder, ./$records. A deadline is met by
# a tool that takes no time, on any machine.
job()
{
    tap_want=$1 ranks=$2
    shift 2
    rm -rf "$records"
    timeout -k 5 300 mpirun -n "$ranks" "$builddir/quantbench-mpi" --tool="$srcdir/tests/fake_tool.sh" \
        --records="$records" "$@" >$job_out 2>$job_err
    tap_got=$?
    [ "$tap_got" -eq "$tap_want" ] && return 0
    echo "# $ranks ranks, $*: exit status $tap_got, not $tap_want"
    return 1
}

# faulty FAULT STATUS RANKS OPTION...
faulty()
{
    FAKE=$1
    export FAKE
    shift
    job "$@"
    set -- $?
    unset FAKE
    return "$1"
}

verdict()
{
    grep -F "rank $1 " out | grep -qF " $2" || { echo "# rank $1 is not $2"; return 1; }
}
