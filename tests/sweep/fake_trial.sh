#!/bin/bash
# A stand-in for `wiresweep train CONFIG -o DIR [--resume]`: behaves as its configuration's "behaviour" says. Every record it
# writes is also noted in runs.txt of the sweep folder, so that a test can see a trial that was done twice.
config=$2
dir=$4
id=$(basename "$(dirname "$dir")")  # SWEEP_DIR/work/ID/GENERATION
sweep=$dir/../../..
value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$config"; }
behaviour=$(value behaviour)
seed=$(value seed)
kind=$(value kind)
seed=${seed:-0}

record() {
    trap '' TERM # between the note and the record nothing may come, or the test would count wrong
    case $kind in
    majority) auroc=0.5 ;;
    det) auroc=0.75 ;;
    *) auroc=0.9$((seed * 37 % 100))1 ;;
    esac
    cat > "$dir/record.json.part" << END
{"schema":1,"id":"$1","status":"done","result":{"isa":"portable","device":"cpu","parameter_hash":"p$seed","score_hash":"s$seed",
"counts":{"train":70,"validation":10,"test":20,"classes":2},
"scores":{"terminal_norm":{"auroc":$auroc,"auprc":null,"tpr_at_fpr_0.01":0.$seed}}},
"run":{"program_hash":"0123456789abcdef0123","host":"h$$","seconds":{"train":0.$RANDOM,"score":0.1,"total":0.$RANDOM},"peak_memory_bytes":$RANDOM}}
END
    echo "$id" >> "$sweep/runs.txt"
    mv "$dir/record.json.part" "$dir/record.json"
}

if env | grep -q -e '^OMPI_COMM' -e '^PMIX_' || [ -z "$WS_TEST_KEPT" ]; then
    echo "error: the environment tells of another MPI job"
    exit 1
fi
case $behaviour in
segfault) kill -SEGV $$ ;;
fail)
    echo "epoch 1"
    echo "error: not a finite number: loss at step 17"
    exit 1
    ;;
fail_once) [ -e "$sweep/mended" ] && record "$id" || exit 9 ;;
fail_first) # on its first machine only
    [ -e "$sweep/first-$id" ] && record "$id" && exit 0
    touch "$sweep/first-$id"
    kill -SEGV $$
    ;;
sick) # on the machine named sick only
    [ "$WS_TEST_NODE" = sick ] && kill -KILL $$
    while [ -e "$sweep/hold" ]; do sleep 0.02; done
    record "$id"
    ;;
greedy)
    printf -v more '%100000000d' 0 || exit # 100 MB
    record "$id"
    ;;
cores)
    grep Cpus_allowed_list /proc/self/status > "$dir/cores"
    echo "$CUDA_VISIBLE_DEVICES" > "$dir/devices"
    record "$id"
    ;;
silent) exit 0 ;;
foreign) record 0000000000000000 ;;
hang) sleep 1000 ;;
hang_stubbornly)
    trap '' TERM
    while true; do sleep 0.1; done
    ;;
slow)
    trap 'touch "$dir/checkpoint"; exit 75' TERM
    for _ in 1 2 3 4 5 6; do sleep 0.05; done
    record "$id"
    ;;
train) # makes a checkpoint, and goes on from one
    if [ -e "$dir/checkpoints/step_1.h5" ]; then
        touch "$dir/resumed"
    else
        mkdir -p "$dir/checkpoints"
        touch "$dir/checkpoints/step_1.h5.partial"
        mv "$dir/checkpoints/step_1.h5.partial" "$dir/checkpoints/step_1.h5"
    fi
    until [ -e "$sweep/go" ]; do sleep 0.02; done
    record "$id"
    ;;
wait | wait_unsteady) # until the test lets it go on
    trap 'touch "$dir/checkpoint"; exit 75' TERM
    [ "$5" = --resume ] && [ -e "$dir/checkpoint" ] && touch "$dir/resumed"
    touch "$dir/ready"
    until [ -e "$sweep/go" ]; do sleep 0.02; done
    [ "$behaviour" = wait_unsteady ] && seed=$$
    record "$id"
    ;;
requeue) # asks once to be started again
    [ "$5" = --resume ] && record "$id" && exit 0
    exit 75
    ;;
crash_after_record)
    record "$id"
    kill -KILL $$
    ;;
*) record "$id" ;;
esac
