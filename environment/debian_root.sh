#!/bin/sh
# Runs a command on Debian 13 where this machine's glibc is too old for TFX 1.21: `debian_root.sh COMMAND...`. A copy of
# this tree is in a root of its own below build/, made with debootstrap the first time; where glibc will do, the command
# just runs here. Needs to be root, and Debian's packages.
set -eu
# What the root and an environment take, with what tests write.
least_kib=8000000
# The exit status that tells "not here" from a command that failed.
no_root=77
release=trixie
packages=python3,python3-venv,make,git,ca-certificates
root=$PWD/build/debian-$release
log=$PWD/build/debian-$release.log

fail() {
    echo "error: no Debian 13 here for TFX 1.21: $1" >&2
    exit "$no_root"
}

if sh environment/choose_python.sh 3.13 >/dev/null 2>&1; then
    case $(sh environment/choose_python.sh) in
    *tfx-1.21.txt*) PYTHON=$(sh environment/choose_python.sh | head -n 1) ;;
    *) PYTHON=3.13 ;;
    esac
    export PYTHON
    exec "$@"
fi
[ "$(id -u)" = 0 ] || fail "this has to be root (sudo make test-current)"
command -v debootstrap >/dev/null || fail "no debootstrap found (apt-get install debootstrap)"
unshare --mount true 2>/dev/null || fail "this may not mount (a container needs --privileged)"

if [ ! -d "$root" ]; then
    [ "$(df -Pk . | awk 'NR == 2 { print $4 }')" -ge $least_kib ] || fail "less than 8 GB of disk are free"
    echo "Making a Debian 13 root in ${root#"$PWD"/} (some minutes, 400 MB)"
    mkdir -p build
    rm -rf "$root.tmp"
    debootstrap --variant=minbase --include=$packages $release "$root.tmp" >"$log" 2>&1 ||
        fail "debootstrap failed: $(tail -n 1 "$log") (the whole of it is in ${log#"$PWD"/})"
    mv "$root.tmp" "$root"
fi

# The environment stays; everything else is this tree as it is now.
mkdir -p "$root/src"
find "$root/src" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .uv -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory="$root/src"

# How this machine reaches the network holds there as well.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/uv/uv.toml /etc/ssl/certs/ca-certificates.crt \
    "$HOME/.config/pip/pip.conf" "$HOME/.config/uv/uv.toml"; do
    if [ -e "$file" ]; then
        case $file in "$HOME"/*) target=$root/root${file#"$HOME"} ;; *) target=$root$file ;; esac
        mkdir -p "$(dirname "$target")"
        cp --dereference "$file" "$target"
    fi
done
cache=${UV_CACHE_DIR:-$HOME/.cache/uv}
mkdir -p "$cache" "$root/root/.cache/uv"

# The environment of this machine is that of the other stack; there it is where it is here, with the Python behind it.
other=$PWD/.venv/bin/python
base=$("$other" -c 'import sys; print(sys.base_prefix)' 2>/dev/null || true)
case $base in "" | /usr | /usr/local) other="" ;; esac

# Mounts and processes are gone with the namespace.
exec unshare --mount --pid --fork --kill-child sh -eu -c '
    root=$1 cache=$2 other=$3 base=$4
    shift 4
    if [ -n "$other" ]; then
        for folder in "${other%/bin/python}" "$base"; do
            mkdir -p "$root$folder"
            mount --bind --options ro "$folder" "$root$folder"
        done
    fi
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys" 2>/dev/null || true
    mount --bind "$cache" "$root/root/.cache/uv"
    exec chroot "$root" env -u PYENV_ROOT -u PYTHON -u UV_CACHE_DIR -u PIP_FIND_LINKS -u VIRTUAL_ENV -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
        HOME=/root TMPDIR=/tmp UV_LINK_MODE=copy FLOWERS_OTHER_PYTHON="$other" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -eu -c "cd /src && git init --quiet && git add --all && exec \"\$@\"" sh "$@"
' sh "$root" "$cache" "$other" "$base" "$@"
