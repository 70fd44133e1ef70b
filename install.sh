#!/bin/sh
# Installs docker-credential-acrscoped: built from the checkout that holds this script, or from a release archive.
set -eu

program=docker-credential-acrscoped
# OWNER/NAME on GitHub: whose releases are trusted. packaging/release/assemble writes it into the copy that a release holds.
repository=
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
scratch=
staged=
simulator_build=

usage() {
    cat <<END
Installs docker-credential-acrscoped, a Docker credential helper for Azure
Container Registry.

usage: ./install.sh [--prefix DIR] [--dynamic] [--demo]
       ./install.sh --archive FILE|URL [--checksum FILE|URL]
                    [--repository OWNER/NAME | --no-provenance] [--prefix DIR]
       ./install.sh --uninstall [--prefix DIR]

Without options it builds this checkout and installs the program to
~/.local/bin, with manual pages and completions of bash, zsh, fish and
PowerShell in ~/.local/share. It changes no configuration file.

On Linux it builds the same static program as a release. As root on Debian 12
it first installs the packages that this build needs. Otherwise, if they are
missing, it builds the dynamic program and shows what to install.

With --archive it installs a release archive (.tar.gz). It verifies the SHA-256
and, with the GitHub CLI (gh), who built the archive, by GitHub's attestation.
You don't need to sign in to gh.

  --prefix DIR             Install to DIR/bin, for example /usr/local
  --dynamic                Build the program that uses the system's C library
  --archive FILE|URL       The archive: a file, or an https address for curl
  --checksum FILE|URL      The file with its SHA-256 (default: SHA256SUMS beside
                           the archive). The attestation is the file with
                           .sigstore.json added to that name
  --repository OWNER/NAME  The repository on GitHub whose release workflow built
                           the archive${repository:+
                           (default: $repository)}
  --no-provenance          Don't verify who built the archive: anyone who can
                           change it could change its checksum too
  --demo                   Afterwards, show the helper at work against a
                           simulated Azure. You don't need an account
  --uninstall              Remove what was installed
  --help                   Show this text

Examples:
  ./install.sh
  ./install.sh --demo
  ./install.sh --prefix /usr/local --repository OWNER/NAME \\
    --archive $program-VERSION-x86_64-linux.tar.gz
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
    [ -z "$simulator_build" ] || kill "$simulator_build" 2>/dev/null || :
    [ -z "$scratch" ] || rm -rf -- "$scratch"
    [ -z "$staged" ] || rm -f -- "$staged"
}

read_options() {
    prefix='' archive='' checksum='' no_provenance='' dynamic='' wants_demo='' action=install
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix | --archive | --checksum | --repository)
                [ -n "${2-}" ] || misused "\`$1\` needs a value"
                eval "${1#--}=\$2"
                shift
                ;;
            --no-provenance) no_provenance=yes ;;
            --dynamic) dynamic=yes ;;
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
    [ -n "$archive" ] || [ -z "$checksum" ] || misused "\`--checksum\` belongs to \`--archive\`"
    [ -z "$archive" ] || [ -z "$dynamic" ] || misused "\`--dynamic\` builds a checkout, so it does not go with \`--archive\`"
    [ -n "$archive" ] || [ -z "$no_provenance" ] || misused "\`--no-provenance\` belongs to \`--archive\`"
    case $repository in
        */*/* | */ | /* | *[!A-Za-z0-9._/-]*) misused "\`$repository\` is no OWNER/NAME" ;;
        '' | */*) ;;
        *) misused "\`$repository\` is no OWNER/NAME" ;;
    esac
    [ "$action" = install ] || [ -z "$archive$wants_demo$dynamic" ] || misused "\`--uninstall\` goes with no option but \`--prefix\`"
}

# Root in the home of another user (sudo -E): files of root lock that user out, and links there lead anywhere.
refuse_other_home() {
    place=$1
    while [ -n "$place" ]; do
        if [ -e "$place" ]; then
            owner=$(owner_of "$place")
            # In a user namespace root's files may belong to another number.
            [ "$owner" = 0 ] || [ "$owner" = "$(owner_of /)" ] ||
                stop "$place belongs to the user with id $owner, and root installs nothing there" \
                    "run it without \`sudo\`, or with \`--prefix /usr/local\`"
        fi
        place=${place%/*}
    done
}

owner_of() {
    # shellcheck disable=SC2012 # only its owner is read
    ls -nd -- "$1" | awk '{ print $3 }'
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
    [ "$(id -u)" != 0 ] || refuse_other_home "$prefix"
    folder=${prefix%/}/bin
    target=$folder/$program
    [ ! -d "$target" ] || stop "$target is a folder"
}

# Leaves the path of the new binary in $built.
build() {
    command -v cargo >/dev/null || stop "\`cargo\` is not on PATH" \
        "install Rust, or install a release archive with \`--archive FILE\`"
    [ -f "$checkout/Cargo.toml" ] || stop "there is no Cargo.toml in $checkout" "run the install.sh of a checkout, or use \`--archive FILE\`"
    # For `version --json`. An archive of the source has no commit.
    if [ -z "${ACRSCOPED_COMMIT:-}" ] && [ -e "$checkout/.git" ]; then
        ACRSCOPED_COMMIT=$(git -C "$checkout" rev-parse HEAD 2>/dev/null) || ACRSCOPED_COMMIT=
        export ACRSCOPED_COMMIT
    fi
    if [ -n "$dynamic" ] || [ "$(uname -s)" != Linux ] || ! prepare_static; then
        say "Building the dynamic $program in $checkout"
        build_dynamic >"$scratch/built"
    else
        say "Building the static $program in $checkout"
        "$checkout/packaging/build-static" >"$scratch/built"
    fi || stop "the build did not succeed; the error is above"
    built=$(tail -n 1 "$scratch/built")
    [ -f "$built" ] || stop "cargo named no new binary"
}

# Cargo's own messages name the binary, wherever its target folder is.
build_dynamic() {
    (cd "$checkout" && cargo build --release --locked --message-format json-render-diagnostics) >"$scratch/messages" &&
        sed -n '/"kind":\["bin"\]/s/.*"executable":"\([^"]*\)".*/\1/p' "$scratch/messages"
}

# Installs what the static build needs, where it can; fails if that is still missing.
prepare_static() {
    missing=$(missing_packages)
    if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing $missing"
        # shellcheck disable=SC2086 # words
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } \
            </dev/null >"$scratch/apt" 2>&1 || tail -n 3 "$scratch/apt" >&2
        missing=$(missing_packages)
    fi
    [ -n "$missing" ] || return 0
    warn "building the dynamic program, because the static one needs $missing"
    printf 'hint: on Debian 12 %s; elsewhere install musl-gcc, and %s\n' "\`apt-get install $missing\`" \
        "\`rustup target add $(uname -m)-unknown-linux-musl\`" >&2
    return 1
}

missing_packages() {
    command -v bash >/dev/null || { say bash && return; }
    "$checkout/packaging/build-static" --missing | tr '\n' ' ' | sed 's/ $//'
}

# fetch FILE|URL COPY [HINT]: what is verified is what is used, so a file is copied, too.
fetch() {
    case $1 in
        https://*)
            # Of those that download, curl alone can be held to https when it is redirected.
            command -v curl >/dev/null || stop "\`curl\` is not on PATH, so $1 cannot be downloaded" \
                "install curl; or download the archive and its SHA256SUMS* by other means, and name the file with \`--archive FILE\`"
            curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --output "$2" -- "$1" ||
                stop "$1 could not be downloaded"
            ;;
        *://*) stop "$1 is no https address" ;;
        *)
            [ -f "$1" ] || stop "there is no file $1" ${3+"$3"}
            cp -- "$1" "$2"
            ;;
    esac
}

# Leaves the verified archive's binary in $built, and its share folder in $share.
unpack() {
    checksum=${checksum:-$(place_of "$archive")SHA256SUMS}
    fetch "$archive" "$scratch/archive"
    fetch "$checksum" "$scratch/checksum" "name the file with the archive's SHA-256 with \`--checksum FILE\`"
    expected=$(expected_sha256)
    actual=$(sha256 "$scratch/archive")
    [ "$actual" = "$expected" ] || stop "the SHA-256 of $archive is
  $actual, where $checksum says
  $expected
nothing was installed" "download both files again; if they still differ, report it"
    say "Verified $archive: SHA-256 $actual"
    verify_provenance
    unpack_plain_files
    built=$scratch/tree/$top/bin/$program
    share=$scratch/tree/$top/share
    [ -s "$built" ] || stop "$archive does not hold $top/bin/$program"
    # An old archive under a new name is whole, and of the right origin.
    case ${archive##*/} in
        "$top.tar.gz") ;;
        "$program"-*) stop "$archive holds $top" "download it again, from where it is published" ;;
    esac
}

# The folder of a file or an address, with its slash; nothing for the current one.
place_of() {
    case $1 in
        */*) printf '%s/\n' "${1%/*}" ;;
    esac
}

# GitHub signs, for a job of a workflow, what the job has built. `--bundle` takes that from a file, so that no account is needed.
verify_provenance() {
    if [ -n "$no_provenance" ]; then
        warn "who built $archive was not asked: \`--no-provenance\`"
        return
    fi
    [ -n "$repository" ] || stop "whose release $archive should be is not known, so who built it cannot be verified" \
        "name the repository with \`--repository OWNER/NAME\`"
    command -v gh >/dev/null || stop "\`gh\` is not on PATH, so who built $archive cannot be verified" \
        "install the GitHub CLI (https://cli.github.com); or take the checksum's word for it with \`--no-provenance\`"
    fetch "$checksum.sigstore.json" "$scratch/provenance.json" \
        "download it to there, from where the archive is published; or go without it with \`--no-provenance\`"
    # Whoever may push a branch can change release.yml there and sign, so the tag counts, too: `v*`, which a ruleset keeps to
    # maintainers, and which does not mean `v1/x`.
    name=$(printf '%s\n' "$repository" | sed 's/\./\\./g')
    gh attestation verify "$scratch/archive" --bundle "$scratch/provenance.json" --repo "$repository" \
        --cert-identity-regex "^https://github\\.com/(?i:$name)/\\.github/workflows/release\\.yml@refs/tags/v[0-9]+\\.[0-9]+\\.[0-9]+([-+][0-9A-Za-z.+-]+)?\$" \
        --deny-self-hosted-runners </dev/null >"$scratch/gh" 2>&1 || {
        sed 's/^/  gh: /' "$scratch/gh" >&2
        stop "the release workflow of $repository did not build $archive on a tag of a version, as far as \`gh\` can tell; nothing was installed" \
            "see what \`gh\` says above; its version must know \`gh attestation verify\`"
    }
    say "Verified $archive: built by the release workflow of $repository"
}

# Unpacks into $scratch/tree, and leaves the name of the one folder there in $top. An archive with names that point outside of
# it, or with links, is not one of ours.
unpack_plain_files() {
    tar -tzf "$scratch/archive" >"$scratch/names" || stop "$archive is no .tar.gz archive"
    if outside=$(grep -E '^/|(^|/)\.\.(/|$)' "$scratch/names"); then
        stop "$archive holds a name that points outside of it: $(printf '%s' "$outside" | head -n 1)"
    fi
    tar -tvzf "$scratch/archive" >"$scratch/kinds"
    ! grep -q '^[^-d]' "$scratch/kinds" || stop "$archive holds something else than files and folders"
    mkdir "$scratch/tree"
    tar -xzf "$scratch/archive" -C "$scratch/tree"
    top=$(ls "$scratch/tree")
    case $top in
        *[!A-Za-z0-9._-]* | '') stop "$archive does not hold one folder" ;;
    esac
}

# The checksum file holds one line for the archive, or one for each file of a release: "HEX", "HEX  name" or "HEX *name".
expected_sha256() {
    name=${archive##*/}
    sum=$(awk -v name="$name" '
        { sub(/\r$/, ""); file = $2; sub(/^\*/, "", file) }
        NF { lines++; only = $1; if (file == name) named = $1 }
        END { print named != "" ? named : lines == 1 ? only : "" }' "$scratch/checksum" | tr 'A-F' 'a-f')
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

# put FILE PLACE: below $share.
put() {
    mkdir -p "$share/$2"
    cp -- "$1" "$share/$2/"
}

# What goes below PREFIX/share, as a release archive has it: the schema of the config file, manual pages, completions of shells.
lay_out_share() {
    share=$scratch/share
    generated=$scratch/generated
    "$built" generate "$generated" || stop "the binary does not run on this machine; nothing was installed"
    put "$checkout/packaging/config.schema.json" "$program"
    for page in "$generated"/man/*.1; do
        put "$page" man/man1
    done
    put "$generated/completions/$program" bash-completion/completions
    put "$generated/completions/_$program" zsh/site-functions
    put "$generated/completions/$program.fish" fish/vendor_completions.d
    put "$generated/completions/_$program.ps1" "$program"
}

install_share() {
    { mkdir -p -- "${prefix%/}/share" && cp -R "$share/." "${prefix%/}/share/"; } ||
        warn "manual pages, completions and the schema of the config file could not all be put into ${prefix%/}/share"
}

remove_share() {
    share=${prefix%/}/share
    # shellcheck disable=SC2115 # $program is a word
    rm -rf -- "$share/$program" "$share/doc/$program" "$share/licenses/$program"
    rm -f -- "$share"/man/man1/"$program".1* "$share"/man/man1/"$program"-*.1* "$share/bash-completion/completions/$program" \
        "$share/zsh/site-functions/_$program" "$share/fish/vendor_completions.d/$program.fish"
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

  docker-credential-acrscoped configure contoso.azurecr.io
  docker-credential-acrscoped doctor contoso.azurecr.io
END
}

uninstall() {
    if [ -e "$target" ] || [ -L "$target" ]; then
        # What signs a person in lives for months, and only the program can find it.
        states=${XDG_STATE_HOME:-${HOME-}/.local/state}
        ! grep -qs '"authority"' "$states/$program/logins.json" "${HOME-}/Library/Application Support/$program/logins.json" ||
            stop "an account is signed in with \`$program login\`" "first \`$program logout --all\`, then uninstall"
        rm -f -- "$target" || stop "$target cannot be removed"
        say "Removed $target; registry tokens that it cached expire within three hours"
    else
        say "There is no $target, so nothing was removed"
    fi
    remove_share
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
    if [ -n "$archive" ]; then
        unpack
    else
        # It takes the core that the link of the program leaves idle. tests/demo waits for it.
        if [ -n "$wants_demo" ]; then
            (cd "$checkout" && exec cargo build --quiet --locked -p simulator) >"$scratch/simulator" 2>&1 &
            simulator_build=$!
        fi
        build
        lay_out_share
    fi
    install_binary
    install_share
    check_path
    explain_configuration
    [ -z "$wants_demo" ] || "$checkout/tests/demo" "$target"
}

main "$@"
