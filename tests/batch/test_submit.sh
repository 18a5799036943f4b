#!/bin/bash
# wiresweep submit without a Slurm: what its scripts say for given profiles and names, that bash takes them, what is submitted (to a
# sbatch of the test's own) and recorded, and that what goes wrong is one line that leaves nothing behind.
# ctest: labels=cli timeout=60
set -euo pipefail
unset WIRESWEEP_PROFILE SLURM_JOB_ID SLURM_CONF
folder=$(realpath "$(mktemp -d)")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
ends_with() { # ends_with STATUS COMMAND...
    local expected=$1 status=0
    shift
    "$@" >"$folder/out" 2>"$folder/err" || status=$?
    [ $status = "$expected" ] || fail "status $status, not $expected: $*: $(cat "$folder/err")"
}
has() { # has FILE LINE...: each as a whole line
    local file=$1 line
    shift
    for line; do grep -qxF -- "$line" "$file" || fail "no line '$line' in $file: $(cat "$file")"; done
}
echo '{ "base": "train.json" }' >sweep.json
echo '{ "store": "s.h5" }' >train.json

# what is built in, as it would be written; nothing is
for profile in cpu gpu local; do
    ends_with 0 "$WIRESWEEP" submit --profile $profile --dry-run sweep sweep.json -o made
    bash -n out || fail "$profile: bash does not take the script"
    ends_with 0 "$WIRESWEEP" submit --profile "$WIRESWEEP_SOURCE/slurm/profiles/$profile.json" --dry-run train train.json -o made
    bash -n out || fail "$profile: bash does not take the script"
done
[ ! -e made ] && [ ! -e made.jobs ] || fail "a dry run wrote something"

# every key becomes what sbatch is told
cat >mine.json <<'END'
{ "partition": "long", "account": "lab 7", "qos": "high", "constraint": "avx512&ib", "time": "1-02:00:00", "memory": "60G", "nodes": 3,
  "tasks_per_node": 4, "cpus_per_task": 2, "gpus_per_node": 2, "gpu_type": "a100", "options": ["--exclusive", "--comment=it's #1"],
  "modules": ["openmpi/4.1", "hdf5"], "setup": ["export A='b c'"], "container": ["apptainer", "exec", "my image.sif"],
  "program": "/opt/wiresweep", "launcher": ["srun", "--mpi=pmix_v4"], "sweep_options": ["--time-limit", "60"], "warning": 300,
  "restarts": 3 }
END
ends_with 0 "$WIRESWEEP" submit --profile mine.json --dry-run sweep sweep.json --retries 2 -o "$folder/out dir"
has out "#SBATCH --partition=long" "#SBATCH --account='lab 7'" "#SBATCH --qos=high" "#SBATCH --constraint='avx512&ib'" \
    "#SBATCH --time=1-02:00:00" "#SBATCH --mem=60G" "#SBATCH --nodes=3" "#SBATCH --ntasks-per-node=1" "#SBATCH --cpus-per-task=8" \
    "#SBATCH --gpus-per-node=a100:2" "#SBATCH --exclusive" "#SBATCH '--comment=it'\\''s #1'" "#SBATCH --signal=B:USR1@300" \
    "#SBATCH --no-kill" "#SBATCH --requeue" "#SBATCH --output='$folder/out dir/jobs/sweep-1.%j.log'" "module load openmpi/4.1 hdf5 || exit 1" \
    "export A='b c'" "container=(apptainer exec 'my image.sif')" "program=/opt/wiresweep" "restarts=3" \
    "launcher=(srun --mpi=none --kill-on-bad-exit=0 --no-kill)" \
    "arguments=(sweep --workers 0 --time-limit 60 sweep.json --retries 2 -o '$folder/out dir')"
# ranks: a task each, over all nodes
ends_with 0 "$WIRESWEEP" submit --dry-run train train.json -o run --profile mine.json
has out "#SBATCH --ntasks-per-node=4" "#SBATCH --cpus-per-task=2" "launcher=(srun --mpi=pmix_v4)" "without_slurm=(mpirun -n 12)" \
    "arguments=(train --resume train.json -o run)" "partial_counts=no # whether status 3, of what is finished but for some parts, ends the job as 0"
# trials of several ranks: one supervisor that leaves all of the job to their steps; --job changes a key
ends_with 0 "$WIRESWEEP" submit --profile mine.json --job time=04:00:00 --job account=12 --dry-run sweep sweep.json --ranks-per-trial 4 -o d
has out "#SBATCH --time=04:00:00" "#SBATCH --account=12" "#SBATCH --ntasks-per-node=4" "launcher=()" \
    "arguments=(sweep --workers 3 --cores-per-trial 8 --time-limit 60 --devices-per-trial 4 sweep.json --ranks-per-trial 4 -o d)"
ends_with 2 "$WIRESWEEP" submit --profile mine.json --dry-run sweep sweep.json --ranks-per-trial 16 -o d
grep -q "12 tasks" err || fail "too many ranks: $(cat err)"

# odd names come back as they are: the script hands them to the program
mkdir "it's a \"dir\" \$HOME %j #1"
odd="it's a \"dir\" \$HOME %j #1"
cp sweep.json "$odd/it's"
printf '#!/bin/bash\nprintf "%%s\\n" "$PWD" "$@"\n' >show
chmod +x show
cd "$odd"
ends_with 0 "$WIRESWEEP" submit --profile local --job program="$folder/show" sweep "it's" -o "*"
cd "$folder"
has out "$folder/$odd" sweep --workers 0 "it's" -o "*"
[ -f "$odd/*/jobs/sweep-1.sbatch" ] || fail "no script in the sweep's folder"
ends_with 2 "$WIRESWEEP" submit --dry-run sweep sweep.json -o 'a\b'
grep -q backslash err || fail "$(cat err)"

# what is wrong is said before anything is submitted
sed 's/"nodes"/"nodez"/' mine.json >wrong.json
ends_with 2 "$WIRESWEEP" submit --profile wrong.json sweep sweep.json -o made
grep -q 'wrong.json:1:.*nodez.*Did you mean "nodes"' err || fail "a wrong key: $(cat err)"
ends_with 2 "$WIRESWEEP" submit --profile cpuu sweep sweep.json -o made
grep -q 'did you mean --profile cpu?' err || fail "a wrong profile: $(cat err)"
ends_with 2 "$WIRESWEEP" submit sweep sweep.json -o made --job nodes=0
grep -q 'nodes.*out of range' err || fail "a wrong value: $(cat err)"
ends_with 2 "$WIRESWEEP" submit sweep sweep.json -o made --workerz 2
grep -q 'did you mean --workers' err || fail "a wrong option: $(cat err)"
ends_with 2 "$WIRESWEEP" submit sweeep sweep.json -o made
grep -q 'did you mean wiresweep submit sweep' err || fail "a wrong subcommand: $(cat err)"
ends_with 2 "$WIRESWEEP" submit sweep sweep.json
ends_with 2 "$WIRESWEEP" submit sweep sweep.json -o made --then
ends_with 2 "$WIRESWEEP" submit --dry-run --array 5 extract -o s.h5 caps
grep -q "only a sweep can be an array" err || fail "$(cat err)"
ends_with 2 "$WIRESWEEP" submit sweep sweep.json -o made --array 0
printf '{ "partition": "a\\n#SBATCH --uid=0" }' >lines.json
ends_with 2 "$WIRESWEEP" submit --profile lines.json sweep sweep.json -o made
grep -q 'partition.*line break' err || fail "a line break: $(cat err)"
PATH="$folder/nowhere" ends_with 1 "$WIRESWEEP" submit extract -o made.h5 sweep.json
grep -q 'sbatch: not found' err && grep -q -- '--profile local' err || fail "no Slurm: $(cat err)"
ends_with 2 "$WIRESWEEP" submit --dry-run sweep sweep.json -o -
grep -q -- '-o -: a job has no standard output' err && [ ! -s out ] || fail "-o -: $(cat out err)"
ends_with 2 "$WIRESWEEP" submit --dry-run sweep nowhere.json -o made
grep -q 'hint: .*wiresweep sweep --help' err || fail "a specification that is not there: $(cat err)"
for time in 2 02:00 00:02:00 0-0:2; do
    ends_with 2 "$WIRESWEEP" submit --dry-run --job time=$time sweep sweep.json -o made
    grep -q "\"time\" $time is not longer than \"warning\"" err || fail "a warning at the start: $(cat err)"
done
for time in 3 02:01 1:0:0 0-0:3 1-0 1-00:00:00 UNLIMITED 0; do # 0: none
    ends_with 0 "$WIRESWEEP" submit --dry-run --job time=$time sweep sweep.json -o made
done
[ ! -e made ] || fail "something was made"
cp mine.json $'two\nlines.json'
ends_with 0 "$WIRESWEEP" submit --profile $'./two\nlines.json' --dry-run sweep sweep.json -o made
! grep -q "^lines.json" out && bash -n out || fail "the profile's name ends the comment: $(cat out)"

# a Slurm that is a few lines long: numbers from 100 on, each call in `calls`
mkdir bin
cat >bin/sbatch <<'END'
#!/bin/bash
echo "sbatch $*" >>"$STUB/calls"
number=$((100 + $(grep -c ^sbatch "$STUB/calls")))
[ ! -e "$STUB/fail" ] || [ $number -lt "$(cat "$STUB/fail")" ] || { echo "sbatch: error: Invalid account" >&2; exit 1; }
echo "$number;cluster"
END
cat >bin/scontrol <<'END'
#!/bin/bash
printf 'MaxArraySize            = 4\nMaxJobCount = 10\n'
END
cat >bin/squeue <<'END'
#!/bin/bash
cat "$STUB/queue"
END
printf '#!/bin/bash\necho "scancel $*" >>"$STUB/calls"\n' >bin/scancel
chmod +x bin/*
export STUB=$folder
PATH=$folder/bin:$PATH
: >queue
ends_with 0 "$WIRESWEEP" submit extract -o s.h5 caps --then sweep sweep.json -o chain --then --job nodes=2 table chain -o t.md
has calls "sbatch --parsable $folder/chain/jobs/extract-1.sbatch" \
    "sbatch --parsable --kill-on-invalid-dep=yes --dependency=afterok:101 $folder/chain/jobs/sweep-1.sbatch" \
    "sbatch --parsable --kill-on-invalid-dep=yes --dependency=afterok:101,afterany:102 $folder/chain/jobs/table-1.sbatch"
[ "$(cut -d' ' -f1,2 out | tr '\n' ' ')" = "101 extract-1 102 sweep-1 103 table-1 " ] || fail "$(cat out)"
grep -q "partial_counts=yes" chain/jobs/extract-1.sbatch || fail "an extraction that left inputs out, as asked, stops the chain"

# status: what Slurm says, what the jobs have left, and without either
printf '101|COMPLETED|None\n102|PENDING|Priority\n' >queue
echo 0 >chain/jobs/101.status
ends_with 0 "$WIRESWEEP" status chain
grep -q "^not begun" out && grep -q "^job 101 (extract-1).*: completed; ended with status 0$" out &&
    grep -q "^job 102 (sweep-1).*: pending (Priority)$" out && grep -q "^job 103 .*does not know it any more" out || fail "$(cat out)"
PATH="$folder/nowhere" ends_with 0 "$WIRESWEEP" status --json chain
grep -q '"states": null' out || fail "status without squeue: $(cat out)"

# an array, split by the site's limit; a second submission of the same sweep has a script of its own
: >calls
ends_with 0 "$WIRESWEEP" submit --array 10%4 sweep sweep.json -o chain --then table chain -o t.md
has calls "sbatch --parsable --array=0-3%1 $folder/chain/jobs/sweep-2.sbatch" "sbatch --parsable --array=0-1%1 $folder/chain/jobs/sweep-2.sbatch" \
    "sbatch --parsable --kill-on-invalid-dep=yes --dependency=afterany:101:102:103 $folder/chain/jobs/table-2.sbatch"
has chain/jobs/sweep-2.sbatch "#SBATCH --output=$folder/chain/jobs/sweep-2.%A_%a.log"

# one that is refused takes back those before it; one that was taken although sbatch failed is found
: >calls
echo 102 >fail
ends_with 1 "$WIRESWEEP" submit extract -o s.h5 caps --then sweep sweep.json -o refused
grep -q "sbatch ended with status 1: sbatch: error: Invalid account" err || fail "$(cat err)"
has calls "scancel 101"
: >calls
echo 101 >fail
echo "77|$folder/taken/jobs/sweep-1.sbatch" >queue
ends_with 0 "$WIRESWEEP" submit sweep sweep.json -o taken
grep -q "^77 sweep-1" out || fail "$(cat out)"
echo passed
