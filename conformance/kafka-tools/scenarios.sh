#!/usr/bin/env bash
# The scenarios of Kafka's own command line tools: scenarios.sh HOST:PORT [SCENARIO].
#
# Needs KAFKA_TOOLS_JARS (a folder of jars); DATA_DIR, the broker's data directory, for the scenario `dump`.
# Prints its transcript to stdout, the same on every run against a fresh broker.
set -uo pipefail
bootstrap=$1
only=${2:-}

tool() {
    local class=$1
    shift
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$KAFKA_TOOLS_JARS/*" "$class" "$@" 2>&1 |
        grep -vE 'SLF4J|StatusLogger|^WARN(ING)?[: ]|^$|^\s+at '
}
topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$bootstrap" "$@"; }
# Ids and node numbers are the broker's own; so is which defaults are shown as set.
normal() { sed -E 's/TopicId: [A-Za-z0-9_-]{22}/TopicId: ID/; s/(Leader|Replicas|Isr|Elr|LastKnownElr): [0-9]+/\1: N/g; s/(segment\.bytes=134217728|min\.insync\.replicas=1),?//g; s/,$//'; }
lines() { while IFS= read -r line; do echo "$1 -> $line"; done; }

scenario_topics() {
    topics --create --topic tools.a --partitions 3 --replication-factor 1 --config segment.ms=99000 | lines create
    topics --create --topic tools.a --partitions 1 | grep -oE 'exists' | head -1 | lines 'create again'
    topics --create --if-not-exists --topic tools.a --partitions 1 | lines 'create if absent'
    topics --list | grep '^tools' | lines list
    topics --describe --topic tools.a | normal | tr -s '\t' ' ' | lines describe
    topics --alter --topic tools.a --partitions 5 | lines alter
    topics --describe --topic tools.a | grep -c 'Partition: ' | lines 'partitions now'
    topics --delete --topic tools.a | lines delete
    topics --describe --topic tools.absent | grep -oE "Topic '.*' does not exist" | head -1 | lines 'describe unknown'
}

scenario_console() {
    topics --create --topic tools.console --partitions 1 >/dev/null
    seq 1 20 | sed 's/.*/k&:line-&/' | tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$bootstrap" \
        --topic tools.console --property parse.key=true --property key.separator=: | lines produce
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic tools.console \
        --partition 0 --offset earliest --max-messages 20 --timeout-ms 15000 \
        --consumer-property enable.auto.commit=false --property print.key=true --property print.offset=true |
        grep -v 'deprecated' | tr '\t' ' ' | lines consume
}

scenario_offsets() {
    topics --create --topic tools.offsets --partitions 2 >/dev/null
    seq 1 30 | kcat -b "$bootstrap" -P -t tools.offsets -p 0 -X log_level=0
    offsets --topic tools.offsets | lines latest
    offsets --topic tools.offsets --time earliest | lines earliest
    offsets --topic tools.offsets --time 1 | lines 'at the epoch'
    offsets --topic-partitions tools.offsets:0 --time max-timestamp | cut -d: -f1,2 | lines 'max timestamp'
    offsets --topic tools.absent | grep -oE 'Could not match any topic-partitions' | head -1 | lines 'unknown topic'
}

# The files on disk: both layouts hold the same formats.
scenario_dump() {
    [ -n "${DATA_DIR:-}" ] || return 0
    topics --create --topic tools.dump --partitions 1 >/dev/null
    for codec in none gzip zstd; do
        seq -f "$codec-%g" 1 400 | kcat -b "$bootstrap" -P -t tools.dump -p 0 -z $codec -X log_level=0 \
            -X batch.num.messages=100 -X queue.buffering.max.ms=200 -H codec=$codec
    done
    kcat -b "$bootstrap" -C -t tools.dump -p 0 -o beginning -e -X log_level=0 2>/dev/null | sha256sum | lines 'what is in it'
    local folder
    for folder in "$DATA_DIR/tools.dump-0" "$DATA_DIR/tools.dump/partition0"; do
        [ -d "$folder" ] || continue
        dump "$folder/00000000000000000000"
    done
}

dump() {
    local log
    log=$(tool kafka.tools.DumpLogSegments --deep-iteration --print-data-log --files "$1.log")
    grep -c '^baseOffset: .* magic: 2 .* isvalid: true' <<<"$log" | sed 's/[1-9][0-9]*/some/' | lines 'valid batches'
    grep -c 'isvalid: false' <<<"$log" | lines 'invalid batches'
    grep -oE '^Log starting offset: .*' <<<"$log" | lines 'log'
    grep -E '^\| offset: ' <<<"$log" | sed -E 's/.*offset: ([0-9]+) .*headerKeys: (\[[a-z]*\]).* payload: (.*)/\1 \2 \3/' | sha256sum | lines 'records'
    grep -cE '^\| offset: ' <<<"$log" | lines 'record count'
    grep -oE 'compresscodec: [a-z]+' <<<"$log" | sort -u | lines 'codecs'
    tool kafka.tools.DumpLogSegments --verify-index-only --files "$1.index" | grep -iE 'mismatch|error|exception' | lines 'offset index'
    tool kafka.tools.DumpLogSegments --verify-index-only --files "$1.timeindex" | grep -iE 'mismatch|error|exception' | lines 'time index'
    tool kafka.tools.DumpLogSegments --files "$1.index" | grep -cE '^offset: [1-9][0-9]* position: [1-9]' | sed 's/[1-9][0-9]*/some/' | lines 'offset index entries'
}

for scenario in topics console offsets dump; do
    if [ -z "$only" ] || [ "$only" = "$scenario" ]; then
        echo "# $scenario"
        "scenario_$scenario"
    fi
done
