# apt-root.sh - for scripts that make what tests need out of Debian packages. Nothing of the system is changed: packages come
# through APT roots of their own (apt.conf(5), Dir::State) and are only unpacked. Needs apt-get, dpkg; bash, `set -euo pipefail`.

# A folder that goes when the script ends.
work=$(mktemp -d "${TMPDIR:-/tmp}/em-packages.XXXXXX")
trap 'rm -rf "$work"' EXIT
mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | head -n 1)

# Debian's name of an architecture: debian_name x86_64|aarch64|riscv64.
debian_name() {
    case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    riscv64) echo riscv64 ;;
    *) echo "no board of $1" >&2; exit 2 ;;
    esac
}

# apt_root ARCHITECTURE SUITE: what `download` and apt-cache are of from here on. Architecture as Debian calls it; an empty suite is
# what this machine installs from.
apt_root() {
    local apt=$work/apt-$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,parts}
    touch "$apt/state/status"
    cat > "$apt/apt.conf" <<CONF
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Sandbox::User "root";
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
CONF
    if [ -n "$2" ]; then
        echo "deb [arch=$1 signed-by=$keyring] $mirror $2 main" > "$apt/sources.list"
        printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "%s";\n' "$apt/sources.list" "$apt/parts" >> "$apt/apt.conf"
    fi
    export APT_CONFIG=$apt/apt.conf
    apt-get update -qq
}

# Names of the packages that a package depends on and that match a pattern.
depends() { apt-cache depends "$1" | awk -v want="$2" '$1 == "Depends:" && $2 ~ want { print $2 }'; }

# Packages into $work.
download() {
    (cd "$work" && apt-get download -qq "$@" > download.log 2>&1) || { cat "$work/download.log" >&2; exit 1; }
}

# unpack FOLDER: what was downloaded so far.
unpack() { for package in "$work"/*.deb; do dpkg -x "$package" "$1"; done; }
