# Sourced by jobs/quickstart: gets the captures and expected results of nDPI's test suite from Debian's source package.
# Private lists and cache, so it needs no root and leaves the machine's apt configuration alone.

ws_ndpi_version=4.2
ws_ndpi_archive=ndpi_4.2.orig.tar.gz
ws_ndpi_sha256=e54ce8fe13adc5d747be7553513657fae78f796e0bd459e122c280cc06ce4daf
ws_ndpi_suite=bookworm

# Prints "URI OPTIONS" of every archive with component main of a plain suite that this machine is configured to use.
ws_archives() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        sed -E 's/#.*//; s/^[[:space:]]+//' "$file" | awk '
            $1 == "deb" || $1 == "deb-src" {
                options = ""
                if (match($0, /\[[^]]*\]/)) { options = substr($0, RSTART, RLENGTH); $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH) }
                if ($3 !~ /(security|updates|backports|proposed)/ && $0 ~ / main( |$)/) print $2, options
            }'
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        sed '/^#/d' "$file" | awk '
            function finish() {
                if (uri != "" && enabled && suites != "" && components ~ /(^| )main( |$)/) print uri, (key ~ /^\// ? "[signed-by=" key "]" : "")
                uri = suites = components = key = ""; enabled = 1
            }
            BEGIN { enabled = 1 }
            /^[[:space:]]*$/ { finish(); next }
            { name = tolower($1) }
            name == "uris:" { uri = $2 }
            name == "suites:" { for (i = 2; i <= NF; i++) if ($i !~ /(security|updates|backports|proposed)/) suites = $i }
            name == "components:" { $1 = ""; components = $0 }
            name == "signed-by:" { key = $2 }
            name == "enabled:" { enabled = tolower($2) != "no" }
            END { finish() }'
    done
    echo "http://deb.debian.org/debian"
}

# ws_apt_source FOLDER URI OPTIONS: downloads the upstream archive of ndpi into FOLDER from one archive.
ws_apt_source() {
    local folder=$1 apt
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    echo "deb-src $3 $2 $ws_ndpi_suite main" >"$folder/sources.list"
    apt=(apt-get -q -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Get::List-Cleanup=0
        -o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=2)
    [ "$(id -u)" != 0 ] || apt+=(-o APT::Sandbox::User=root)
    "${apt[@]}" update && (cd "$folder" && "${apt[@]}" source --download-only --tar-only ndpi)
}

# ws_fetch_ndpi FOLDER: FOLDER/ndpi/pcap and FOLDER/ndpi/result, checked. Where it cannot, ws_fetch_problem says why in one line.
ws_fetch_ndpi() {
    local folder=$1 log="$1/fetch.log" uri options found=""
    if [ -f "$folder/ndpi/SHA256SUMS" ] && (cd "$folder/ndpi" && sha256sum --check --status SHA256SUMS); then
        return 0
    fi
    if ! [ -f "$folder/$ws_ndpi_archive" ]; then
        if ! command -v apt-get >/dev/null; then
            ws_fetch_problem="this machine has no apt-get"
            return 1
        fi
        ws_say "fetching nDPI's captures (Debian source package ndpi, 127 MB)"
        : >"$log"
        while read -r uri options; do
            if ws_apt_source "$folder" "$uri" "$options" </dev/null >>"$log" 2>&1; then
                found=yes
                break
            fi
        done < <(ws_archives | sed 's/ *$//' | awk '!seen[$0]++')
        if [ -z "$found" ]; then
            ws_fetch_problem="no package archive gave it (see $log)"
            return 1
        fi
    fi
    if ! [ -f "$folder/$ws_ndpi_archive" ]; then
        ws_fetch_problem="the archive has another version than $ws_ndpi_version, whose labels were not checked"
        return 1
    fi
    if ! echo "$ws_ndpi_sha256  $folder/$ws_ndpi_archive" | sha256sum --check --status; then
        rm -f "$folder/$ws_ndpi_archive"
        ws_fetch_problem="$ws_ndpi_archive has the wrong SHA-256 and was removed"
        return 1
    fi
    rm -rf "$folder/ndpi" "$folder/ndpi.partial"
    mkdir -p "$folder/ndpi.partial"
    if ! tar -xzf "$folder/$ws_ndpi_archive" -C "$folder/ndpi.partial" --strip-components=2 --no-same-owner \
        --wildcards '*/tests/pcap/*' '*/tests/result/*' ||
        ! (cd "$folder/ndpi.partial" && find pcap result -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS); then
        ws_fetch_problem="$ws_ndpi_archive could not be unpacked"
        return 1
    fi
    mv "$folder/ndpi.partial" "$folder/ndpi"
    rm -rf "$folder/lists" "$folder/cache" "$folder/sources.list"
}
