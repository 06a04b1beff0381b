#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# configure.sh - what configure and bootstrap accept and refuse, by name: the architectures for CUDA, with a stand-in for
# nvcc, and a path with a space.
# shellcheck source=tests/tap.sh
. "${srcdir:=.}/tests/tap.sh"

spaced()
{
    mkdir -p 'a b' && cp "$srcdir/bootstrap" 'a b' && ( 'a b/bootstrap' bogus ) >out 2>err
    same 1 $? && same 1 "$(grep -c '' err)" && err_has 'Libtool cannot build in a path with a space'
}
ok 'bootstrap: a path with a space is refused in one line' spaced

if [ -n "${EMULATOR-}" ] || [ -e "$srcdir/config.status" ]; then
    skip 'configure' 'it is for another architecture, or the sources are configured themselves'
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
ok 'by default all architectures from 75 on that nvcc knows' newest
ok 'the toolkit is where nvcc says, with the host compiler that NVCCFLAGS names' \
    grep -qE "^CUDA_CPPFLAGS='-isystem .*/toolkit/bin/../include'" config.log
major() { configures 0 '75 80 90, static' --with-cuda-arch=all-major; }
ok 'all-major: the first of each generation' major
ok "native on a GPU that is too old names its architecture" configures 1 'the kernels use instructions that sm_70 lacks' \
    --with-cuda-arch=native
ok 'of a list the one that is too old is named' configures 1 'instructions that sm_50 lacks' --with-cuda-arch=75,50,80
ok 'and the one that nvcc does not know' configures 1 'cannot compile for sm_99' --with-cuda-arch=99,50,80
# with VARIABLES ARGUMENT...: configures() with these set.
with() { eval "$1" && shift && configures "$@"; }
ok "a host compiler that nvcc refuses: nvcc's words" with CCBIN=g++-9 1 'unsupported GNU version! gcc versions later than 11'
ok 'a missing libstdc++ is named' with 'CCBIN=g++-11 NO_STDCXX=1' 1 '-lstdc++ (Debian: g++)'
done_testing
