#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# installed.sh - "./configure --prefix=/usr && make && make install", from the release tarball, installs what is in the
# packages: the same files, and of those that no compiler makes the same bytes.
#
#   installed.sh TARBALL PACKAGES FOLDER
#
# PACKAGES is the folder that packages.sh has filled, without CUDA; FOLDER is for what is built.
set -eu

tarball=$(realpath "$1")
packages=$(realpath "$2")
mkdir -p "$3"
folder=$(realpath "$3")
rm -rf "$folder"
mkdir -p "$folder/source" "$folder/build" "$folder/of-packages"
unset TAR_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL

tar -xf "$tarball" -C "$folder/source" --strip-components=1
(cd "$folder/build" && ../source/configure -q --prefix=/usr --without-cuda && make -s -j"$(nproc)" &&
    make -s install DESTDIR="$folder/of-make") >"$folder/log" 2>&1 || {
    tail -n 20 "$folder/log"
    echo "installed.sh: it failed; all it said is in $folder/log"
    exit 1
}
for deb in "$packages"/*.deb; do
    case $deb in
    *-dbgsym_*) ;;
    *) dpkg-deb -x "$deb" "$folder/of-packages" ;;
    esac
done

# Where Debian has other folders than GNU, and what it compresses, adds, or wants nobody to have.
cd "$folder/of-packages"
find . -name '*.gz' -type f -exec gzip -d {} +
find . -name '*.gz' -type l | while read -r link; do
    ln -s "$(readlink "$link" | sed 's/\.gz$//')" "${link%.gz}"
    rm "$link"
done
mv usr/lib/*-linux-gnu/* usr/lib
mv usr/share/zsh/vendor-completions usr/share/zsh/site-functions
rm -rf usr/share/lintian usr/share/doc/lib*
rm -f usr/share/doc/quantbench/copyright usr/share/doc/quantbench/changelog
cd "$folder/of-make"
rm -f usr/lib/libquantbench.la

list() { (cd "$1" && find . ! -type d | sort); }
list "$folder/of-make" >"$folder/list-of-make"
list "$folder/of-packages" >"$folder/list-of-packages"
diff "$folder/list-of-make" "$folder/list-of-packages" || { echo "installed.sh: the lists of files differ"; exit 1; }
while read -r file; do
    case $file in
    */bin/* | */lib/*) continue ;;
    esac
    # A page that is a link holds a line that says so; dh makes a link in the file system of it.
    [ "$(head -c 4 "$file")" != ".so " ] || continue
    sed 's:/lib/[a-z0-9_]*-linux-gnu:/lib:g' "$folder/of-packages/$file" | cmp - "$file" ||
        { echo "installed.sh: $file is not that of the package"; exit 1; }
done <"$folder/list-of-make"
echo "installed.sh: $(wc -l <"$folder/list-of-make") files are the same"
