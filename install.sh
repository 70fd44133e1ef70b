#!/bin/sh
# Installs docker-credential-acrscoped: built from the checkout this script lies in, or from a release archive.
set -eu

program=docker-credential-acrscoped
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
scratch=
staged=

usage() {
    cat <<'END'
Installs docker-credential-acrscoped, a docker credential helper for Azure Container Registry.

usage: ./install.sh [--prefix DIR] [--archive FILE [--checksum FILE]] [--demo]
       ./install.sh --uninstall [--prefix DIR]

Without options it builds the checkout it lies in with cargo and installs the binary to ~/.local/bin, with manual
pages and completions of bash, zsh, fish and PowerShell in ~/.local/share.
Only cargo uses the network, and no configuration file is changed.

  --prefix DIR      install to DIR/bin instead, for example /usr/local
  --archive FILE    install from a release archive (.tar.gz) instead of building; its SHA-256 is verified first
  --checksum FILE   the file with that SHA-256 (default: the archive's name with .sha256 added)
  --demo            afterwards, show the installed helper at work against a simulated Azure: no account needed
  --uninstall       remove what was installed
  --help            show this text

Examples:
  ./install.sh
  ./install.sh --demo
  ./install.sh --archive docker-credential-acrscoped-0.1.0-x86_64-linux.tar.gz --prefix /usr/local
END
}

say() {
    printf '%s\n' "$*"
}

warn() {
    printf 'install.sh: %s\n' "$*" >&2
}

# stop MESSAGE [HINT]
stop() {
    warn "$1"
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

misused() {
    warn "$1"
    # shellcheck disable=SC2016 # the backticks are for the reader
    printf 'hint: `./install.sh --help` lists the options\n' >&2
    exit 2
}

clean() {
    [ -z "$scratch" ] || rm -rf -- "$scratch"
    [ -z "$staged" ] || rm -f -- "$staged"
}

read_options() {
    prefix='' archive='' checksum='' wants_demo='' action=install
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix | --archive | --checksum)
                [ -n "${2-}" ] || misused "\`$1\` needs a value"
                eval "${1#--}=\$2"
                shift
                ;;
            --demo) wants_demo=yes ;;
            --uninstall) action=uninstall ;;
            --help | -h)
                usage
                exit
                ;;
            *) misused "unknown option \`$1\`" ;;
        esac
        shift
    done
    [ -z "$checksum" ] || [ -n "$archive" ] || misused "\`--checksum\` belongs to \`--archive\`"
    [ "$action" = install ] || [ -z "$archive$wants_demo" ] || misused "\`--uninstall\` goes with no option but \`--prefix\`"
}

choose_folder() {
    if [ -z "$prefix" ]; then
        [ -n "${HOME-}" ] || stop "\`HOME\` is not set, so there is no ~/.local/bin to install to" "name a folder with \`--prefix DIR\`"
        prefix=$HOME/.local
    fi
    case $prefix in
        /*) ;;
        *) prefix=$PWD/$prefix ;;
    esac
    folder=${prefix%/}/bin
    target=$folder/$program
    [ ! -d "$target" ] || stop "$target is a folder"
}

# Leaves the path of the new binary in $built. Cargo's own messages tell it, wherever its target folder is.
build() {
    command -v cargo >/dev/null || stop "\`cargo\` is not on PATH" \
        "install Rust, or install a release archive with \`--archive FILE\`"
    [ -f "$checkout/Cargo.toml" ] || stop "there is no Cargo.toml in $checkout" "run the install.sh of a checkout, or use \`--archive FILE\`"
    say "Building $program in $checkout"
    (cd "$checkout" && cargo build --release --locked --message-format json-render-diagnostics) >"$scratch/messages" ||
        stop "the build did not succeed; cargo's own message is above"
    built=$(sed -n '/"kind":\["bin"\]/s/.*"executable":"\([^"]*\)".*/\1/p' "$scratch/messages")
    [ -f "$built" ] || stop "cargo named no new binary"
}

# Leaves the path of the verified binary in $built. Works on a copy, so that what was verified is what is unpacked.
unpack() {
    [ -f "$archive" ] || stop "there is no file $archive"
    checksum=${checksum:-$archive.sha256}
    [ -f "$checksum" ] || stop "there is no checksum file $checksum, so it cannot be verified" "name one with \`--checksum FILE\`"
    cp -- "$archive" "$scratch/archive"
    expected=$(expected_sha256)
    actual=$(sha256 "$scratch/archive")
    [ "$actual" = "$expected" ] || stop "the SHA-256 of $archive is
  $actual, where $checksum says
  $expected
nothing was installed" "download both files again; if they still differ, report it"
    say "Verified $archive: SHA-256 $actual"
    member=$(find_member)
    # To stdout: no name in the archive becomes a path on this machine.
    tar -xzOf "$scratch/archive" -- "$member" >"$scratch/$program"
    [ -s "$scratch/$program" ] || stop "$member in $archive is empty or no plain file"
    built=$scratch/$program
}

# The checksum file holds one line for the archive, or one for each file of a release: "HEX", "HEX  name" or "HEX *name".
expected_sha256() {
    name=$(basename -- "$archive")
    sum=$(awk -v name="$name" '
        { sub(/\r$/, ""); file = $2; sub(/^\*/, "", file) }
        NF { lines++; only = $1; if (file == name) named = $1 }
        END { print named != "" ? named : lines == 1 ? only : "" }' "$checksum" | tr 'A-F' 'a-f')
    case $sum in
        *[!0-9a-f]* | '') sum= ;;
    esac
    [ ${#sum} -eq 64 ] || stop "$checksum holds no SHA-256 of $name"
    printf '%s\n' "$sum"
}

sha256() {
    if command -v sha256sum >/dev/null; then
        sum=$(sha256sum <"$1")
    elif command -v shasum >/dev/null; then
        sum=$(shasum -a 256 <"$1")
    else
        stop "there is neither \`sha256sum\` nor \`shasum\`, so the archive cannot be verified"
    fi
    printf '%s\n' "${sum%% *}"
}

# The name of the binary in the archive. An archive with names that point outside of it is not one of ours.
find_member() {
    tar -tzf "$scratch/archive" >"$scratch/names" || stop "$archive is no .tar.gz archive"
    if outside=$(grep -E '^/|(^|/)\.\.(/|$)' "$scratch/names"); then
        stop "$archive holds a name that points outside of it: $(printf '%s' "$outside" | head -n 1)"
    fi
    found=$(grep -E "(^|/)$program\$" "$scratch/names") || stop "$archive does not hold $program"
    [ "$(printf '%s\n' "$found" | wc -l)" -eq 1 ] || stop "$archive holds $program more than once"
    printf '%s\n' "$found"
}

# Copies beside the target and renames: whoever calls the helper meanwhile finds the old one or the new one, whole.
install_binary() {
    if [ -x "$target" ] && cmp -s "$built" "$target"; then
        say "$target is already this version: $("$target" --version)"
        return
    fi
    mkdir -p -- "$folder" || stop "$folder cannot be made" "choose another with \`--prefix DIR\`"
    staged=$(mktemp "$folder/.$program.XXXXXX") || stop "nothing can be written to $folder" "choose another with \`--prefix DIR\`"
    cp -- "$built" "$staged"
    chmod 0755 "$staged"
    version=$("$staged" --version) || stop "the binary does not run on this machine; nothing was installed" \
        "choose the archive of this system and processor ($(uname -sm))"
    mv -f -- "$staged" "$target"
    staged=
    say "Installed $target, ${version##* }"
}

# What goes below PREFIX/share, and from where: the schema of the config file for editors, manual pages, completions of shells.
shared_files() {
    say "packaging/config.schema.json $program"
    for page in "$checkout"/packaging/man/*.1; do
        say "packaging/man/$(basename -- "$page") man/man1"
    done
    say "packaging/completions/$program bash-completion/completions"
    say "packaging/completions/_$program zsh/site-functions"
    say "packaging/completions/$program.fish fish/vendor_completions.d"
    say "packaging/completions/_$program.ps1 $program"
}

# A release archive holds the binary alone.
install_shared() {
    [ -z "$archive" ] || return 0
    share=${prefix%/}/share
    shared_files | while read -r file place; do
        mkdir -p -- "$share/$place" && cp -- "$checkout/$file" "$share/$place/$(basename -- "$file")" || exit 1
    done || warn "manual pages, completions and the schema of the config file could not all be put into $share"
}

check_path() {
    case :${PATH-}: in
        *:"$folder":*) ;;
        *)
            warn "$folder is not on PATH, so clients will not find the helper"
            # shellcheck disable=SC2016 # $PATH is for the reader
            printf 'hint: add to ~/.profile, and sign in again: export PATH="%s:$PATH"\n' "$folder" >&2
            return
            ;;
    esac
    first=$(command -v "$program") || return 0
    [ "$first" = "$target" ] || warn "clients will find $first first, which comes earlier on PATH"
}

# The files in which clients look for helpers, as this environment has them.
configuration_files() {
    [ -z "${DOCKER_CONFIG-}${HOME-}" ] || say "${DOCKER_CONFIG:-${HOME-}/.docker}/config.json"
    [ -z "${REGISTRY_AUTH_FILE-}" ] || say "$REGISTRY_AUTH_FILE"
    [ -z "${XDG_RUNTIME_DIR-}" ] || say "$XDG_RUNTIME_DIR/containers/auth.json"
    [ -z "${XDG_CONFIG_HOME-}${HOME-}" ] || say "${XDG_CONFIG_HOME:-${HOME-}/.config}/containers/auth.json"
}

names_the_helper() {
    [ -f "$1" ] && grep -q '"acrscoped"' "$1"
}

explain_configuration() {
    cat <<'END'

To use it, with your registry's name:

  docker-credential-acrscoped configure contoso.azurecr.io   # names it in the files of docker and podman
  docker-credential-acrscoped doctor contoso.azurecr.io      # looks at everything in between
END
    configuration_files | while IFS= read -r file; do
        if names_the_helper "$file"; then
            say "$file already names acrscoped"
        elif [ -f "$file" ]; then
            say "$file exists and does not name acrscoped yet"
        fi
    done
}

uninstall() {
    if [ -e "$target" ] || [ -L "$target" ]; then
        # What signs a person in lives for months, and only the program can find it.
        ! grep -qs '"authority"' "${XDG_STATE_HOME:-${HOME-}/.local/state}/$program/logins.json" ||
            stop "somebody is signed in with \`$program login\`" "first \`$program logout --all\`, then uninstall"
        rm -f -- "$target" || stop "$target cannot be removed"
        say "Removed $target; registry tokens that it cached expire within three hours"
    else
        say "There is no $target, so nothing was removed"
    fi
    shared_files | while read -r file place; do
        rm -f -- "${prefix%/}/share/$place/$(basename -- "$file")"
    done
    rmdir -- "${prefix%/}/share/$program" 2>/dev/null || :
    configuration_files | while IFS= read -r file; do
        if names_the_helper "$file"; then
            say "Take the lines with \"acrscoped\" out of the \"credHelpers\" of $file, or clients will miss the helper:"
            grep -n '"acrscoped"' "$file" | sed 's/^/  /'
        fi
    done
}

main() {
    read_options "$@"
    choose_folder
    if [ "$action" = uninstall ]; then
        uninstall
        return
    fi
    [ -z "$wants_demo" ] || [ -x "$checkout/tests/demo" ] || stop "there is no $checkout/tests/demo" "\`--demo\` needs a checkout"
    trap clean EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d)
    if [ -n "$archive" ]; then unpack; else build; fi
    install_binary
    install_shared
    check_path
    explain_configuration
    [ -z "$wants_demo" ] || "$checkout/tests/demo" "$target"
}

main "$@"
