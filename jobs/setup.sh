# Sourced by jobs/quickstart and tests/run: Debian packages, configure and build, what Open MPI needs to know.
# Does nothing by itself. Works for root and for an ordinary user with sudo; where neither can install, it says what to install.

ws_build_packages="cmake ninja-build gcc libc6-dev pkg-config libopenmpi-dev openmpi-bin libhdf5-openmpi-dev libpcap-dev
    libcjson-dev libopenblas-dev zlib1g-dev libzstd-dev liblzma-dev libbz2-dev libssl-dev libcmocka-dev ca-certificates"
ws_optional_packages="libisal-dev libsvm-dev" # the build does without
ws_test_packages="g++ python3 python3-scipy gnuplot-nox hdf5-tools tshark wireshark-common jq zstd xz-utils bzip2"
ws_slurm_packages="slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge" # only for tests/run -L slurm

ws_say() {
    printf '%s\n' "$*" >&2
}

ws_die() {
    ws_say "error: $1"
    if [ -n "${2-}" ]; then
        ws_say "hint: $2"
    fi
    exit 1
}

ws_is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# ws_install PACKAGE...: installs those that are not there.
ws_install() {
    local missing="" package as_root="" log
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0 # not Debian: cmake says what is missing
    for package in "$@"; do
        ws_is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || ws_die "packages are missing and there is no sudo" "as root: apt-get install$missing"
        as_root="sudo"
    fi
    ws_say "installing:$missing"
    log=$(mktemp)
    # An update that fails for one of the machine's other sources must not stop what the main archive has.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install \
        --no-install-recommends $missing >>"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        ws_die "apt-get could not install:$missing" "see the lines above"
    fi
    rm -f "$log"
}

# ws_install_known PACKAGE...: those that this system's archive has.
ws_install_known() {
    local package
    for package in "$@"; do
        if command -v apt-cache >/dev/null && apt-cache show "$package" >/dev/null 2>&1; then
            ws_install "$package"
        fi
    done
}

ws_has_gpu() {
    command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q .
}

# ws_build PRESET [TARGET...]: configures once, then builds what changed. The folder of a moved checkout is made anew.
# ws_cuda: WIRESWEEP_CUDA as it is to be, also where the folder has been configured in another way; empty: as it is.
ws_build() {
    local preset=$1 folder="$ws_root/build/$1" home
    shift
    if [ -f "$folder/CMakeCache.txt" ]; then
        home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$folder/CMakeCache.txt")
        [ "$home" = "$ws_root" ] || rm -rf "$folder"
    fi
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
    fi
    if [ ! -f "$folder/build.ninja" ] || ! grep -qs "^WIRESWEEP_CUDA:STRING=${ws_cuda-}" "$folder/CMakeCache.txt"; then
        (cd "$ws_root" && cmake --preset "$preset" -G Ninja ${ws_cuda:+"-DWIRESWEEP_CUDA=$ws_cuda"}) >&2 || ws_die "cmake could not configure $preset"
    fi
    cmake --build "$folder" ${1:+--target "$@"} >&2 || ws_die "the build of $preset failed"
}

# Several ranks on one machine, also as root and in a container, without spinning, without ptrace-like copies, without a look for
# networks at every start.
ws_mpi_environment() {
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
    # hwloc: no word about a missing /sys, and no look for X displays, which takes seconds where localhost has no name.
    export HWLOC_HIDE_ERRORS=2 HWLOC_COMPONENTS=-gl
}
