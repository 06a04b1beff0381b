#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# configure.sh - what configure and bootstrap accept and refuse, by name: the architectures for CUDA, with a stand-in for
# nvcc, a path with a space, and what bootstrap builds with and without a GPU.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

spaced()
{
    mkdir -p 'a b' && cp "$srcdir/bootstrap" 'a b' && ( 'a b/bootstrap' bogus ) >out 2>err
    same 1 $? && same 1 "$(grep -c '' err)" && err_has 'Libtool cannot build in a path with a space'
}
ok 'bootstrap: a path with a space is refused in one line' spaced

# ---- bootstrap, with stand-ins for all that it calls ---------------------------------------------------------------
# Each writes its command line to "calls"; configure and make leave what theirs would.
mkdir -p fresh/m4 commands
cp "$srcdir/bootstrap" fresh && : >fresh/configure.ac && : >fresh/Makefile.am && : >fresh/m4/qb_x.m4
cat >commands/autoreconf <<'END'
#!/bin/sh
cat >configure <<'CONFIGURE'
#!/bin/sh
echo "configure $*" >>../../calls
: >Makefile
CONFIGURE
chmod +x configure
END
cat >commands/make <<'END'
#!/bin/sh
shift 2
echo "make $*" | sed 's/ -j[0-9]*//' >>../calls
printf '#!/bin/sh\necho "quantbench $*" >>../calls\n' >_build/quantbench
chmod +x _build/quantbench
END
printf '#!/bin/sh\necho "install ok installed"\n' >commands/dpkg-query
printf '#!/bin/sh\necho 1.0\n' >commands/pkg-config
# shellcheck disable=SC2016 # the stand-in expands it
printf '#!/bin/sh\nexit "$GPU_MISSING"\n' >commands/nvidia-smi
printf '#!/bin/sh\n' >commands/nvcc
cp commands/nvcc commands/mpicc
cp commands/dpkg-query commands/apt-get
chmod +x commands/*

# bootstraps CALLS ARGUMENT...: bootstrap, in a fresh checkout, calls configure, make and quantbench with CALLS.
bootstraps()
{
    tap_calls=$1
    shift
    rm -f calls
    (unset CONFIGURE_FLAGS
        if [ -n "$FLAGS" ]; then export CONFIGURE_FLAGS="$FLAGS"; fi
        PATH=$work/commands:$PATH GPU_MISSING=$GPU_MISSING fresh/bootstrap "$@") >out 2>err
    same 0 $? && same "$tap_calls" "$(tr '\n' ';' <calls)"
}
fresh() { rm -rf fresh/_build && bootstraps "$@"; }
# A processor that is unknown: all its kernels are built.
rm -f .root/proc/cpuinfo
FLAGS='' GPU_MISSING=1
quick='--disable-shared CFLAGS=-O2'
# The kernels as always, and the tool faster.
made='make -s libquantbench.la;make -s quantbench CFLAGS=-O1'
run_cpu() {
    fresh "configure --without-cuda $quick;$made;quantbench --seed=2;" run --seed=2 &&
        same 1 "$(grep -c 'no NVIDIA GPU; building for the CPU only: about a minute' err)" &&
        err_has 'running _build/quantbench --seed=2; its manual is _build/man/quantbench.1'
}
ok 'bootstrap run: without a GPU the tool is built for the CPU alone, and a line says so' run_cpu
ok 'bootstrap run: a second time nothing is configured' \
    bootstraps "$made;quantbench ;" run
ok 'bootstrap check: what run has left is removed first' \
    bootstraps 'make -s clean;configure --with-cuda --with-cuda-arch=90 --with-mpi --disable-static CFLAGS=-O2;make -s;make check;' check
ok 'bootstrap run: a build that check has made is used' bootstraps 'make -s quantbench;quantbench ;' run
# spares SET FLAGS: without kernels for SET on a CPU with these flags, and a line says so.
spares() {
    echo "flags : fpu $2 clflush" >.root/proc/cpuinfo &&
        fresh "configure --without-cuda $quick qb_cv_simd_$1=no;$made;quantbench ;" run &&
        err_has "building for the CPU only, without the kernels for $1, which this CPU does not use: "
}
ok 'bootstrap run: with AVX-512 the kernels for AVX2 are left out' spares avx2 \
    'avx2 avx512f avx512dq avx512bw avx512vl avx512vbmi'
ok 'bootstrap run: without all of AVX-512 its kernels are left out' spares avx512 'avx2 avx512f avx512dq avx512bw avx512vl'
rm .root/proc/cpuinfo
flagged() {
    FLAGS='--with-cuda --with-cuda-arch=90'
    fresh "configure $FLAGS;make -s quantbench;quantbench ;" run && err_has "building with CONFIGURE_FLAGS=$FLAGS"
    flagged_status=$?
    FLAGS=''
    return $flagged_status
}
ok 'bootstrap run: CONFIGURE_FLAGS replaces the default' flagged
GPU_MISSING=0
run_gpu() { fresh "configure --with-cuda --with-cuda-arch=native $quick;$made;quantbench ;" run && err_has 'this GPU'; }
ok 'bootstrap run: with a GPU the CUDA backend is built for it' run_gpu
GPU_MISSING=1
mkdir .root/dev && : >.root/dev/nvidiactl
ok 'bootstrap run: a GPU without nvidia-smi counts' \
    fresh "configure --with-cuda --with-cuda-arch=90 $quick;$made;quantbench ;" run
rm -r .root/dev
# The packages that the build of the packages requires are among those that "tools" installs.
mkdir -p missing
printf '#!/bin/sh\nexit 1\n' >missing/dpkg-query
printf '#!/bin/sh\necho "$@"\n' >missing/sudo
cp missing/sudo missing/env
cp missing/sudo missing/apt-get
chmod +x missing/*
required()
{
    sed -n '/^Build-Depends:/,/^$/p' "$srcdir/debian/control" | tr ',' '\n' | sed 's/^Build-Depends://; s/^ *//' |
        grep -v pkg.quantbench.cuda | sed 's/^debhelper-compat.*/debhelper/; s/^pkgconf$/pkg-config/; s/[ (].*//' | grep .
}
installs()
{
    PATH=$work/missing:$PATH fresh/bootstrap tools >out 2>err && [ -n "$(required)" ] || return 1
    required | while read -r tap_package; do
        grep -q " $tap_package\( \|\$\)" err || { echo "# not installed: $tap_package"; return 1; }
    done
}
ok 'bootstrap tools: what debian/control requires is installed' installs
helps() { fresh/bootstrap --help >out 2>err && same 0 "$(grep -c '' err)" && out_has CONFIGURE_FLAGS; }
ok 'bootstrap --help: CONFIGURE_FLAGS is documented' helps

if [ -n "${EMULATOR-}" ] || [ -e "$srcdir/config.status" ]; then
    skip 'configure: all checks' 'it is for another architecture, or the sources are configured themselves'
    done_testing
    exit
fi

# ---- A toolkit that is none ----------------------------------------------------------------------------------------
# nvcc: knows $ARCHS, finds a GPU of $NATIVE, has no cvt.pack before 72, and takes no host compiler but $CCBIN.
mkdir -p toolkit/bin toolkit/lib64
cp -R "$srcdir/tests/stub" toolkit/include
cat >toolkit/bin/nvcc <<'END'
#!/bin/sh
case $* in *--list-gpu-arch*)
    for arch in $ARCHS; do echo "compute_$arch"; done
    exit
    ;;
esac
case " $* " in *" -ccbin $CCBIN "*) ;; *)
    echo "host_config.h:132:2: error: #error -- unsupported GNU version! gcc versions later than 11 are not supported!" >&2
    exit 1
    ;;
esac
file=
for word; do
    case $word in
    -arch=native) asked=$NATIVE ;;
    -gencode=arch=*,code=sm_*) asked="$asked ${word##*sm_}" ;;
    *.o) file=$word ;;
    esac
done
case $* in *--dryrun*)
    echo "#\$ _TARGET_DIR_=" >&2
    echo "#\$ TOP=$(dirname "$0")/.." >&2
    echo "#\$ gcc -D__CUDA_ARCH_LIST__=${asked:-52}0 -E" >&2
    exit
    ;;
esac
for arch in $asked; do
    case " $ARCHS " in *" $arch "*) ;; *) echo "nvcc fatal   : Unsupported gpu architecture 'compute_$arch'" >&2; exit 1 ;; esac
    case $*:$arch in *-DQB_KERNELS*:[3-6]?|*-DQB_KERNELS*:7[01]) echo 'ptxas fatal : aborted' >&2; exit 255 ;; esac
done
: >"$file"
END
cat >compiler <<'END'
#!/bin/sh
case " $* " in *" -lstdc++ "*) [ -z "$NO_STDCXX" ] || { echo 'ld: cannot find -lstdc++' >&2; exit 1; } ;; esac
exec $REAL_CC "$@"
END
chmod +x toolkit/bin/nvcc compiler
REAL_CC=${CC:-cc} CC=$PWD/compiler ARCHS='35 50 70 72 75 80 86 87 89 90' NATIVE=70 CCBIN=g++-11 NO_STDCXX=
export REAL_CC CC ARCHS NATIVE CCBIN NO_STDCXX
unset NVCC CFLAGS CPPFLAGS LDFLAGS LIBS MAKEFLAGS MFLAGS MAKELEVEL
echo 'int cudaGetDeviceCount(int *count) { return *count = 0; }' >cudart.c
$REAL_CC -c cudart.c && ar rc toolkit/lib64/libcudart_static.a cudart.o

# configures STATUS WORD ARGUMENT...: configure ends with STATUS and says WORD.
configures()
{
    tap_status=$1 tap_word=$2
    shift 2
    "$srcdir/configure" -n --cache-file=cache --disable-tool --with-cuda="$PWD/toolkit" NVCCFLAGS='-O2 -ccbin g++-11' "$@" \
        >out 2>err
    tap_got=$?
    cat err >>out
    same "$tap_status" $tap_got && out_has "$tap_word"
}
gencode() { sed -n "s/^CUDA_GENCODE='\(.*\)'\$/\1/p" config.log | tr -d '\n' | sed 's/-gencode=arch=compute_//g; s/code=//g'; }
newest() { configures 0 'CUDA          yes' && same ' 75,sm_75 80,sm_80 86,sm_86 87,sm_87 89,sm_89 90,sm_90 90,compute_90' "$(gencode)"; }
ok 'CUDA architectures: by default all from 75 on that nvcc knows' newest
ok 'CUDA toolkit: where nvcc says, with the host compiler that NVCCFLAGS names' \
    grep -qE "^CUDA_CPPFLAGS='-isystem .*/toolkit/bin/../include'" config.log
major() { configures 0 '75 80 90, static' --with-cuda-arch=all-major; }
ok 'CUDA architectures: all-major is the first of each generation' major
ok 'CUDA architectures: native names that of a GPU that is too old' configures 1 'the kernels use instructions that sm_70 lacks' \
    --with-cuda-arch=native
ok 'CUDA architectures: of a list the one that is too old is named' configures 1 'instructions that sm_50 lacks' --with-cuda-arch=75,50,80
ok 'CUDA architectures: of a list the one that nvcc does not know is named' configures 1 'cannot compile for sm_99' --with-cuda-arch=99,50,80
# with VARIABLES ARGUMENT...: configures() with these set.
with() { eval "$1" && shift && configures "$@"; }
ok "CUDA toolkit: nvcc's words about a host compiler that it refuses are shown" with CCBIN=g++-9 1 'unsupported GNU version! gcc versions later than 11'
ok 'CUDA toolkit: a missing libstdc++ is named' with 'CCBIN=g++-11 NO_STDCXX=1' 1 '-lstdc++ (Debian: g++)'
done_testing
