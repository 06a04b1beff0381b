#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cuda11.sh - the oldest CUDA toolkit that is supported, 11.8, and the compiler that it needs, from Debian 12's non-free
# component: unpacked into a folder in NVIDIA's layout, from where apt gets its packages here. Nothing is installed. It
# takes 900 MB from the network; ends with 77 where it cannot be had, and says why.
#
#   cuda11.sh FOLDER     then FOLDER/bin/nvcc -ccbin FOLDER/gcc/usr/bin/g++-11
set -eu

mkdir -p "$1"
folder=$(realpath "$1")
state=$folder/apt
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

skip()
{
    echo "SKIP: $*"
    exit 77
}

# What apt thinks of this machine, its packages and its sources, does not matter.
apt()
{
    apt-get -q -o Dir::State::Lists="$state/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$state/cache" \
        -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/nonexistent -o APT::Sandbox::User=root \
        -o APT::Update::Error-Mode=any "$@" >>"$state/log" 2>&1
}

# unpack FILE FOLDER [MEMBER]...
unpack()
{
    dpkg-deb --fsys-tarfile "$1" >"$state/tar" || return 1
    archive=$state/tar target=$2
    shift 2
    tar -xf "$archive" -C "$target" "$@"
}

command -v apt-get >/dev/null || skip "no apt-get here"
# The words are for apt.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | head -n 1)
[ -n "$mirror" ] || skip "apt has no sources"
rm -rf "$state" "$folder/gcc" "$folder/root"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs" "$folder/gcc" "$folder/root" \
    "$folder/lib64" "$folder/nvvm"
echo "deb [signed-by=$keyring] $mirror bookworm main non-free" >"$state/sources.list"
apt update || skip "apt cannot read $mirror: $(tail -n 1 "$state/log")"
cd "$state/debs"
apt download nvidia-cuda-toolkit nvidia-cuda-dev g++-11 gcc-11 cpp-11 libgcc-11-dev libstdc++-11-dev ||
    skip "apt cannot get nvidia-cuda-toolkit: $(tail -n 1 "$state/log")"

for deb in *-11*.deb; do
    unpack "$deb" "$folder/gcc" || skip "$deb cannot be unpacked"
done
unpack nvidia-cuda-toolkit_*.deb "$folder/root" ./usr/bin ./usr/lib/nvidia-cuda-toolkit
unpack nvidia-cuda-dev_*.deb "$folder/root" --wildcards ./usr/include './usr/lib/*/libcudart_static.a'
cd "$folder"
rm -rf "$state/debs" "$state/tar" bin include nvvm/libdevice
mv root/usr/lib/nvidia-cuda-toolkit/bin root/usr/include .
mv root/usr/lib/nvidia-cuda-toolkit/libdevice nvvm
rm root/usr/bin/nvcc # a script
mv root/usr/bin/* bin
mv root/usr/lib/*/libcudart_static.a lib64
rm -rf root
# Debian's has the paths of an installed one.
rm -f bin/nvcc.profile
cat >bin/nvcc.profile <<'END'
TOP = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(TOP)/bin:
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64"
END
bin/nvcc --version | grep 'release 11\.8' || skip "this is not CUDA 11.8"
