#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mpi_hosts.sh - quantbench-mpi on three hosts: network namespaces of this machine, each with a name, an address and a
# folder of its own, on a bridge. They are in a user namespace, so nobody else sees them, and end with it. Nothing runs
# ssh: mpirun starts its daemons by a script that enters the namespaces.
if [ -z "$MPI_HOSTS" ]; then
    MPI_HOSTS=1
    export MPI_HOSTS
    for flags in -Urnm -nm; do
        if unshare $flags --pid --fork --mount-proc --kill-child true 2>/dev/null; then
            exec unshare $flags --pid --fork --mount-proc --kill-child sh "$0"
        fi
    done
    echo "1..0 # SKIP no namespaces here: $(unshare -Urnm --pid --fork --mount-proc true 2>&1 | head -n 1)"
    exit 0
fi
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"
subnet=10.77.0
OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=$subnet.0/24 OMPI_MCA_oob_tcp_if_include=$subnet.0/24
OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$work/enter OMPI_MCA_rmaps_base_mapping_policy=slot
export OMPI_MCA_btl_tcp_if_include OMPI_MCA_plm_rsh_agent OMPI_MCA_rmaps_base_mapping_policy
# shellcheck source=tests/mpi_jobs.sh
. "$srcdir/tests/mpi_jobs.sh"
case $(mpirun --version 2>&1) in
*'Open MPI'*) ;;
*) echo '1..0 # SKIP the agent that enters namespaces is for mpirun of Open MPI' && exit 0 ;;
esac

# ---- Three hosts ---------------------------------------------------------------------------------------------------

mkdir private
bridge() { ip link set lo up && ip link add bridge type bridge && ip addr add $subnet.254/24 dev bridge && ip link set bridge up; }
# host NUMBER: a process that holds its namespaces.
host()
{
    mkfifo "go$1"
    beside unshare -n -m -u sh -c "hostname node$1; mount -t tmpfs none private; ip link set lo up; echo >up$1; read -r _ <go$1"
    echo "$tap_pid" >"pid$1"
    while [ ! -e "up$1" ]; do kill -0 "$tap_pid" || return 1; done
    ip link add "host$1" type veth peer name eth0 netns "$tap_pid" && ip link set "host$1" master bridge up &&
        nsenter -t "$tap_pid" -n sh -c "ip addr add $subnet.$1/24 dev eth0 && ip link set eth0 up"
}
# on NUMBER COMMAND...: on that host.
on()
{
    tap_pid=$(cat "pid$1")
    shift
    nsenter -t "$tap_pid" -n -m -u -- env -C "$work" "$@"
}
cat >enter <<END
#!/bin/sh
# enter HOST COMMAND...: as ssh would.
pid=\$(cat $work/pid"\${1##*.}")
shift
exec nsenter -t "\$pid" -n -m -u -- sh -c "\$*"
END
chmod +x enter
if ! { bridge && host 1 && host 2 && host 3; } >out 2>err; then
    echo "1..0 # SKIP no network of namespaces here: $(head -n 1 err)"
    exit 0
fi
OMPI_MCA_orte_default_hostfile=$work/hosts
export OMPI_MCA_orte_default_hostfile
for i in 1 2 3; do echo "$subnet.$i slots=2"; done >hosts
need_jobs
ok 'hosts: two ranks on each' same 'node1 node1 node2 node2 node3 node3' "$(mpirun -n 6 hostname | sort | tr '\n' ' ' | sed 's/ $//')"

# ---- Jobs ----------------------------------------------------------------------------------------------------------

# The folder of records is each host's own.
records=private/records
clean() { for i in 1 2 3; do on $i rm -rf private/records; done; }

ok 'three hosts: exit status 0' job 0 6
ok 'three hosts: one report' out_has 'Fleet: 6 devices: 6 OK'
ok 'three hosts: their names' same '2 2 2' "$(for i in 1 2 3; do grep -c "^node$i cpu rank" out; done | tr '\n' ' ' | sed 's/ $//')"
ok 'three hosts: records of the others were sent' same 6 "$(on 1 find private/records -name '0*.json' | wc -l)"
ok 'three hosts: which are on these too' same 2 "$(on 3 find private/records -name '0*.json' | wc -l)"
clean
ok 'in turns: exit status 0' job 0 6 --together=node-turns
clean
ok 'wrong: exit status 4' faulty wrong@5 4 6
ok 'wrong: the host and the rank' grep -q '^node3 cpu rank 5 .* WRONG' out
clean
ok 'slow: exit status 1' faulty slow@2 1 6
ok 'slow: the host and the rank' grep -q '^node2 cpu rank 2 .* SLOWER' out
clean
ok 'hang: exit status 3' faulty hang@3 3 6 --deadline=5
ok 'hang: the host' grep -q 'rank 3 on node2 .*NO ANSWER: the tool did not go on' err
ok 'hang: the others' out_has '5 OK; 1 device missing'
clean

# A host whose cable is pulled: its ranks cannot be reached. Nor can mpirun's daemon there, for which mpirun waits; so
# what is waited for here is the report.
mkfifo out_fifo err_fifo
cut_off()
{
    FAKE=cut@4
    export FAKE
    job_out=out_fifo job_err=err_fifo
    beside job 3 6 --deadline=5
    unset FAKE
}
cut_off
exec 3<out_fifo 4<err_fifo
sed '/^Fleet: /q' <&3 >out
sed '/the records are in/q' <&4 >err
ok 'a host that is cut off: its ranks' same 2 "$(grep -c 'rank [45] on node3 .*NO ANSWER: the rank does not answer' err)"
ok 'a host that is cut off: the others' out_has '4 OK; 1 node missing'
done_testing
